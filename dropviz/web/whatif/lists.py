"""What the page offers before a sweep is chosen: ready-made questions, and the sweeps that somebody ran."""

from __future__ import annotations

from time import time as now

import streamlit as st

from dropviz.duration import shown_seconds
from dropviz.store import SweepRow
from dropviz.sweeps import Question, question, question_names
from dropviz.web.ages import age
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.presses import pressed
from dropviz.web.visitor import visitor
from dropviz.web.whatif.timing import amount, known_time

MOST_LISTED = 20


def choose() -> Question | None:
    """Draw the questions and the visitor's sweeps; returns the question that was asked."""
    st.header("What if …?")
    st.write(
        "Vary one or two knobs and see where an answer changes. Ask a question below, or choose the knobs on the left."
    )
    asked = _questions()
    _own()
    return asked


def _questions() -> Question | None:
    asked = None
    names = question_names()
    for start in range(0, len(names), 2):
        for column, name in zip(st.columns(2), names[start : start + 2], strict=False):
            with column, st.container(border=True, height="stretch"):
                one = question(name)
                st.markdown(f"**{plain(one.title)}**")
                st.markdown(plain(one.about))
                time = known_time(one.sweep()) or f"about {shown_seconds(one.seconds)} on an idle machine"
                st.caption(f"{amount(one.sweep())} · {time}")
                if pressed("Ask", key=f"ask/{name}", help=one.title, icon=":material/play_arrow:"):
                    asked = one
    return asked


def _own() -> None:
    mine = store().sweeps.of(visitor(), MOST_LISTED)
    gone = st.session_state.get("deleted_sweep")
    if mine or gone:
        st.subheader("Your sweeps")
    if gone:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("The sweep was deleted.")
            st.button("Undo", key="undelete", on_click=restore, args=(gone,))
    for row in mine:
        _line(row)


def _line(row: SweepRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{plain(row.title)} · {age(now() - row.created_at)} ago", width="stretch")
        if pressed("Open", key=f"open/{row.id}"):
            st.query_params["sweep"] = row.id
            st.rerun()
        st.button("Delete", key=f"delete/{row.id}", on_click=delete, args=(row.id,), icon=":material/delete:")


def delete(sweep_id: str) -> None:
    """Delete one of the visitor's own sweeps; the page then offers to take it back."""
    if store().sweeps.get(sweep_id, deleted=True).owner == visitor():
        store().sweeps.delete(sweep_id)
        st.session_state["deleted_sweep"] = sweep_id
        for name in ("sweep", "show"):
            st.query_params.pop(name, None)


def restore(sweep_id: str) -> None:
    """Take that back."""
    if store().sweeps.get(sweep_id, deleted=True).owner == visitor():
        store().sweeps.restore(sweep_id)
    st.session_state.pop("deleted_sweep", None)
