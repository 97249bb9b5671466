"""The run browser: one's own runs and the shared ones, found by words and filters, chosen, described, thrown away and taken back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from dropviz.store import Listed, UnknownExperiment
from dropviz.web import examples
from dropviz.web.ages import age
from dropviz.web.compare.search import FACETS, ORDERS, Wanted, amount, facets, found, separates
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.presses import pressed
from dropviz.web.shown import go_to
from dropviz.web.visitor import visitor

A_PAGE = 12
WHOSE = {"all": "All", "mine": "Mine", "shared": "Shared"}
UNDO_SECONDS = MINUTE = 60


def browser(chosen: Sequence[str], most: int) -> None:
    """Draw the list in the sidebar; a tick takes a run into the URL."""
    lines = store().runs.listing(visitor())
    st.subheader("Runs")
    words = st.text_input(
        "Search",
        key="search",
        type="search",
        live=True,
        label_visibility="collapsed",
        placeholder="Search name, tag, note, data, model, arm",
    )
    wanted, order, deleted = _filters(lines, words)
    _undo()
    if deleted:
        lines = store().runs.listing(visitor(), deleted=True)
    kept = found(lines, wanted, order, visitor())
    if not lines:
        st.caption(
            "Nothing was deleted."
            if deleted
            else "No runs yet. Start one in the Lab: it is listed here from then on."
        )
    elif not kept:
        st.caption(f"None of {len(lines):,} runs fits. Change the words or the filter.")
    pages = -(-len(kept) // A_PAGE)
    page = 1
    if pages > 1:
        st.caption(f"{len(kept):,} runs")
        page = min(st.session_state.get("list_page", 1), pages)
    for line in kept[(page - 1) * A_PAGE : page * A_PAGE]:
        _row(line, chosen, most)
    if pages > 1:
        st.pagination(pages, key="list_page", max_visible_pages=5)
    if not deleted:
        _examples(chosen, most)


def _filters(lines: Sequence[Listed], words: str) -> tuple[Wanted, str, bool]:
    with st.popover("Filter and order", icon=":material/tune:", width="stretch"):
        whose = st.segmented_control(
            "Whose", list(WHOSE), default="all", format_func=WHOSE.__getitem__, required=True, key="whose"
        )
        values = {
            facet: st.multiselect(label, options, key=f"facet/{facet}")
            for facet, (label, _) in FACETS.items()
            if (options := facets(lines, facet))
            and (separates(lines, facet) or st.session_state.get(f"facet/{facet}"))
        }
        pinned = st.toggle("Pinned only", key="pinned-only")
        order = st.selectbox("Order", list(ORDERS), key="order")
        deleted = st.toggle("Show deleted runs", key="deleted")
    return Wanted(words=words or "", facets=values, whose=whose or "all", pinned=pinned), order, deleted


def _row(line: Listed, chosen: Sequence[str], most: int) -> None:
    mine = line.owner == visitor()
    with st.container(horizontal=True, gap=None, key=f"row-{line.id}", wrap=False):
        with st.container(width="stretch", gap=None):
            _tick(line.id, line.shown_name, chosen, most)
            st.caption(plain(_about(line, mine=mine)))
        if mine and not line.deleted:
            _icon(
                "Unpin" if line.pinned else "Pin",
                f"pin/{line.id}",
                "keep" if line.pinned else "keep_off",
                line,
            )
        if line.deleted:
            _icon("Take back", f"restore/{line.id}", "undo", line)
        else:
            _icon("Details", f"details/{line.id}", "more_horiz", line)
    if st.session_state.get("described") == line.id and not line.deleted:
        _details(line, mine=mine)


def _about(line: Listed, *, mine: bool) -> str:
    parts = [line.state, amount(line), _made(line.created_at)]
    parts += [] if mine else ["shared by somebody"]
    parts += ["shared"] if mine and line.shared else []
    return " · ".join([*parts, *(f"#{tag}" for tag in line.tags)])


def _icon(what: str, key: str, icon: str, line: Listed) -> None:
    st.button(
        what,
        key=key,
        icon=f":material/{icon}:",
        type="tertiary",
        help=f"{what}: {plain(line.shown_name)}",
        on_click=_act,
        args=(key.partition("/")[0], line),
    )


def _tick(view_id: str, name: str, chosen: Sequence[str], most: int) -> None:
    key = f"choose/{view_id}"
    st.session_state[key] = view_id in chosen
    full = len(chosen) >= most and view_id not in chosen
    st.checkbox(plain(name), key=key, on_change=_choose, args=(view_id,), disabled=full)


def _choose(view_id: str) -> None:
    named = [one for one in st.query_params.get("runs", "").split(",") if one]
    kept = [one for one in named if one != view_id]
    set_runs([*kept, view_id] if st.session_state.get(f"choose/{view_id}") else kept)


def set_runs(view_ids: Sequence[str]) -> None:
    """Put the chosen runs into the URL, where they stand and nowhere else."""
    if view_ids:
        st.query_params["runs"] = ",".join(view_ids)
    else:
        st.query_params.pop("runs", None)
    st.session_state["compared"] = list(view_ids)


def _examples(chosen: Sequence[str], most: int) -> None:
    names = examples.example_names()
    if names:
        st.caption("Come with the program")
    for name in names:
        _tick(f"{examples.PREFIX}{name}", name.replace("-", " ").capitalize(), chosen, most)


def _details(line: Listed, *, mine: bool) -> None:
    with st.container(border=True):
        if mine:
            _field("name", line, "Name", line.name, placeholder=line.usual_name)
            options = list(dict.fromkeys([*line.tags, *st.session_state.get("known_tags", ())]))
            st.multiselect(
                "Tags",
                options,
                list(line.tags),
                accept_new_options=True,
                placeholder="Type a tag",
                key=f"tags/{line.id}",
                on_change=_describe,
                args=("tags", line.id),
            )
            st.text_area(
                "Note",
                line.note,
                key=f"note/{line.id}",
                height=90,
                on_change=_describe,
                args=("note", line.id),
            )
            st.toggle(
                "Share",
                line.shared,
                key=f"shared/{line.id}",
                help="Listed for everybody on this server. Whoever has a link sees a run anyway.",
                on_change=_describe,
                args=("shared", line.id),
            )
        elif line.note:
            st.text(line.note)
        with st.container(horizontal=True):
            if pressed("Open in the Lab", key=f"lab/{line.id}", type="tertiary"):
                go_to("0_Lab.py", line.id)
            if mine:
                _icon("Delete", f"delete/{line.id}", "delete", line)


def _field(what: str, line: Listed, label: str, value: str, **look: Any) -> None:
    st.text_input(label, value, key=f"{what}/{line.id}", on_change=_describe, args=(what, line.id), **look)


def _describe(what: str, view_id: str) -> None:
    said: Any = st.session_state.get(f"{what}/{view_id}")
    if said is None or _try(lambda: store().runs.describe(view_id, visitor(), **{what: said})):
        return
    if what == "shared":  # a switch shows how things are; a text stays, to be shortened
        st.session_state[f"shared/{view_id}"] = not said


def _act(what: str, line: Listed) -> None:
    if what == "details":
        st.session_state["described"] = None if st.session_state.get("described") == line.id else line.id
        st.session_state["known_tags"] = facets(store().runs.listing(visitor()), "tag")
    elif what == "pin":
        _try(lambda: store().runs.describe(line.id, visitor(), pinned=not line.pinned))
    elif what == "restore":
        _restore(line.id)
    elif what == "delete" and _try(lambda: store().runs.delete(line.id, visitor())):
        st.session_state["deleted_run"] = (line.id, line.shown_name, time.time())
        set_runs([one for one in st.query_params.get("runs", "").split(",") if one not in ("", line.id)])


def _undo() -> None:
    """For a while after a deletion, the way back."""
    view_id, name, at = st.session_state.get("deleted_run", ("", "", 0.0))
    if time.time() - at > UNDO_SECONDS:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="undo-bar"):
        st.caption(f"Deleted {plain(name)}.", width="stretch")
        st.button(
            "Undo", key="undo", type="tertiary", icon=":material/undo:", on_click=_take_back, args=(view_id,)
        )


def _take_back(view_id: str) -> None:
    st.session_state.pop("deleted_run", None)
    _restore(view_id)


def _restore(view_id: str) -> None:
    def restore() -> None:
        if not store().runs.restore(view_id, visitor()):
            said = "It is back, for you alone: you share as many others as one person may."
            st.toast(said, icon=":material/lock:")

    _try(restore)


def _try(change: Callable[[], None]) -> bool:
    """Do it; where that is refused, say why in a sentence."""
    try:
        change()
    except (UnknownExperiment, ValueError) as error:
        st.toast(plain(str(error)), icon=":material/error:")
        return False
    return True


def _made(created_at: float) -> str:
    seconds = time.time() - created_at
    return f"{age(seconds)} ago" if seconds >= MINUTE else "just now"
