"""One sweep: how far it is, its map or its lines, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from dropviz.duration import shown_seconds
from dropviz.store import UnknownSweep
from dropviz.sweeps import Sweep, measures, panels, question, question_names
from dropviz.sweeps.words import key_of_marks
from dropviz.web.figures import figure
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.shown import PAGES
from dropviz.web.visitor import visitor
from dropviz.web.whatif.lists import delete
from dropviz.web.whatif.reader import Picture, Progress, SweepReader, sweep_reader

LOOK_SECONDS = 1.0
MOST_FAILURES = 5
MOST_PANELS = 9  # that are drawn unasked: 20 of 20 cells each make a refresh four times as dear


def show(reader: SweepReader) -> None:
    """Draw the sweep; while it runs, once a second what changed."""
    st.header(plain(reader.sweep.title()))
    st.caption(_about(reader.sweep))
    if len(reader.sweep.axes) == 2:
        _choose_measure(reader.sweep)
    mine = reader.owner == visitor()
    running = reader.progress().state == "running"
    st.fragment(_follow, run_every=LOOK_SECONDS if running else None)(reader, mine, running)


def _about(sweep: Sweep) -> str:
    known = [question(name) for name in question_names()]
    about = next((one.about for one in known if one.title == sweep.question), "")
    return plain(sweep.fixed()) + (f"  \n{plain(about)}" if about else "")


def _choose_measure(sweep: Sweep) -> None:
    found = {measure.name: measure for measure in measures(sweep.base)}
    named = st.query_params.get("show")
    chosen = st.segmented_control(
        "Show",
        list(found),
        default=named if named in found else next(iter(found)),
        required=True,
        format_func=lambda name: plain(found[name].label),
        key=f"show/{'/'.join(axis.key for axis in sweep.axes)}/{'/'.join(sweep.base.arms)}",
    )
    st.query_params["show"] = str(chosen)


def _follow(reader: SweepReader, mine: bool, running: bool) -> None:
    """What changes; once it has ended the page is drawn anew, without the timer."""
    try:
        store().sweeps.get(reader.id)
    except UnknownSweep:  # it was deleted while this page was open: the whole page says so
        st.rerun()
    _now(reader, mine)  # before that: what a part of a page does not draw again is taken away
    if running and reader.progress().state != "running":
        st.rerun()


def _now(reader: SweepReader, mine: bool) -> None:
    progress = reader.progress()
    _controls(reader, progress, mine)
    if len(reader.sweep.axes) == 2:
        _map(reader)
    else:
        _panels(reader)
    failed = reader.failures()
    for line in failed[:MOST_FAILURES]:
        st.caption(plain(line))
    if len(failed) > MOST_FAILURES:
        st.caption(f"… and {len(failed) - MOST_FAILURES:,} more; the table names them all.")


def _controls(reader: SweepReader, progress: Progress, mine: bool) -> None:
    running = progress.state == "running"
    bar = st.empty()  # there in every state, so that what stands below keeps its place and its nodes
    if running:
        bar.progress(progress.fraction)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(message(progress), width="stretch")
        if running:
            _button("Stop", reader, mine, "X", "End it; what was computed is kept. (X)", stop)
        elif progress.stopped or progress.state == "stopped":
            _button("Resume", reader, mine, "P", "Compute the rest. (P)", resume)
        elif progress.failed:
            _button("Try the failed cells again", reader, mine, None, "With the same seeds.", retry)
        if mine:
            st.button(
                "Delete", key="delete_sweep", on_click=delete, args=(reader.id,), icon=":material/delete:"
            )
    if not mine:
        st.caption(
            "This is somebody else's sweep. Press Run to have it as your own; nothing is computed twice."
        )


def _button(label: str, reader: SweepReader, mine: bool, shortcut: str | None, help_: str, act) -> None:  # type: ignore[no-untyped-def]
    st.button(
        label,
        key=f"do/{label}",
        help=help_,
        disabled=not mine,
        shortcut=shortcut,
        on_click=act,
        args=(reader.id,),
    )


def message(progress: Progress) -> str:
    """How far it is, in one line."""
    there = f"{progress.done:,} of {progress.cells:,} cells"
    if progress.state == "running":
        line = there
    elif progress.state == "stopped":
        line = f"Stopped: {there} are there. What was computed is kept"
    else:
        line = f"Done: {there}"
    if progress.cached:
        line += f" · {progress.cached:,} from cache"
    if progress.failed:
        line += f" · {progress.failed:,} failed"
    if progress.eta is not None:
        line += f" · about {shown_seconds(progress.eta)} left"
    return line


def _map(reader: SweepReader) -> None:
    """The map of a measure, and below it the same numbers as lines with their intervals."""
    name = st.query_params.get("show", "")
    (panel,) = [one for one in panels(reader.sweep.base) if name in [each.name for each in one.measures]]
    (measure,) = [one for one in panel.measures if one.name == name]
    _draw(reader, "map", reader.map(name), key_of_marks(measure))
    count = len(reader.sweep.axes[1].values)
    if count > MOST_PANELS and not st.toggle(f"The same as lines, in {count} panels", key="whatif/multiples"):
        return
    _draw(reader, f"multiples/{panel.name}", reader.lines(panel), "")


def _panels(reader: SweepReader) -> None:
    """Scores in one panel, then each other measure in one of its own, two side by side."""
    found = panels(reader.sweep.base)
    for start in range(0, len(found), 2):
        for column, panel in zip(st.columns(2), found[start : start + 2], strict=False):
            with column:
                _draw(reader, panel.name, reader.lines(panel), "")


def _draw(reader: SweepReader, key: str, picture: Picture, marks: str) -> None:
    what = "cell" if key == "map" else "point"
    position = figure(
        f"whatif/{key}",
        picture.figure,
        picture.table,
        title=picture.title,
        subtitle=" · ".join(filter(None, (picture.subtitle, marks, f"click a {what} to open its run"))),
        alt=picture.alt,
        selectable=True,
    )
    states = reader.states()
    if isinstance(position, int) and 0 <= position < len(states) and (state := states[position]):
        st.switch_page(PAGES / "0_Lab.py", query_params={"run": state.experiment})


def stop(sweep_id: str) -> None:
    """End what is not computed yet."""
    _act(sweep_id, "stop")


def resume(sweep_id: str) -> None:
    """Go on with what was stopped."""
    _act(sweep_id, "resume")


def retry(sweep_id: str) -> None:
    """Compute failed cells anew."""
    _act(sweep_id, "retry")


def _act(sweep_id: str, action: str) -> None:
    """Do it, unless the sweep is not the visitor's or cannot be."""
    sweeps = store().sweeps
    try:
        if sweeps.get(sweep_id).owner != visitor():
            return
        if action == "stop":
            sweeps.stop(sweep_id)
        else:
            sweeps.resume(sweep_id, ("stopped", "failed") if action == "retry" else ("stopped",))
    except UnknownSweep:
        return
    except ValueError as error:
        st.toast(plain(str(error)))
    sweep_reader(store(), sweep_id).look_again()
