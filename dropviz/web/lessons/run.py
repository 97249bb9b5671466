"""The third step of a lesson: run the experiment on this server, or take the result that comes with it."""

from __future__ import annotations

import streamlit as st

from dropviz.budget import check_budget, check_data
from dropviz.duration import shown_seconds
from dropviz.experiment import ExperimentSpec, SpecError
from dropviz.lessons import Entry, Lesson, recorded
from dropviz.store import Experiment, UnknownExperiment
from dropviz.store.records import FINAL
from dropviz.web.data_files import own_file
from dropviz.web.lessons.place import RECORDED, Place, go
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.presses import pressed
from dropviz.web.progress import last_line, message, progress
from dropviz.web.visitor import visitor

LOOK_SECONDS = 0.5


def run_step(entry: Entry, lesson: Lesson, place: Place) -> None:
    """Offer to run it, show how far it is, or that it is done."""
    experiment, problem = run_of(place)
    if problem:
        st.warning(plain(problem), icon=":material/warning:")
    if experiment is None:
        _offer(entry, lesson, place)
    elif experiment.state not in FINAL:
        follow(experiment)
    elif experiment.state == "done":
        st.success(f"It has run here: {_amount(experiment.spec)}.", icon=":material/check_circle:")
        _reveal_button(place)
    else:
        failed = next((job for job in experiment.jobs if job.state == "failed"), None)
        why = (
            f"{failed.arm} failed. {last_line(failed.error)}" if failed else "It was stopped before its end."
        )
        st.warning(plain(why), icon=":material/warning:")
        _offer(entry, lesson, place)


def run_of(place: Place) -> tuple[Experiment | None, str]:
    """The run that the URL names, if any, and what is wrong with it."""
    if not place.run or place.run == RECORDED:
        return None, ""
    try:
        return store().experiment(place.run), ""
    except (UnknownExperiment, SpecError) as error:
        return None, str(error)


@st.fragment(run_every=LOOK_SECONDS)
def follow(experiment: Experiment) -> None:
    """How far a run is; at its end the page is drawn anew, without this timer."""
    now = store().refreshed(experiment)
    if now.state in FINAL:
        st.rerun()
    far = progress(now, store().queue_position(now.id), store().now())
    waits = now.state == "queued" and far["queue_position"]
    text = f"Waiting: {far['queue_position']} jobs come first." if waits else message(now)
    left = f" · about {shown_seconds(far['eta_seconds'])} left" if far["eta_seconds"] else ""
    st.progress(far["fraction"], text=plain(f"{text}{left}"))
    if now.owner == visitor():
        st.button("Stop", key="stop", on_click=_stop, args=(now.id,))


def _stop(view_id: str) -> None:
    try:
        store().request(view_id, "stop")
    except ValueError:  # it ended in the meantime
        return


def _offer(entry: Entry, lesson: Lesson, place: Place) -> None:
    file = own_file(f"file/{entry.name}", "csv", "") if lesson.experiment.own_data else ""
    known = recorded(entry)
    seeds = lesson.spec.seeds
    takes = ""
    if known is not None:
        share = known.seconds * seeds / max(1, known.measured.seeds)
        takes = f" It took {shown_seconds(share)} of computing where the lesson was recorded."
    st.markdown(
        f"This trains {_amount(lesson.spec)}.{takes} What somebody here has run before is there at once."
    )
    problem = st.container()
    row = st.container(horizontal=True, vertical_alignment="center")
    with row:
        label = "Run it on your table" if file else "Run it here"
        if pressed(label, key="start", type="primary", icon=":material/play_arrow:"):
            with problem:
                _start(lesson, place, file)
    if known is None:
        row.caption("This lesson has no recorded result as it is now.")
        return
    row.button(
        f"Show the recorded result ({known.measured.seeds} seeds)",
        on_click=go,
        args=(place,),
        kwargs={"run": RECORDED, "step": "reveal"},
        key="recorded",
    )


def _start(lesson: Lesson, place: Place, file: str) -> None:
    """Queue it and show it, or say why it cannot be run."""
    try:
        spec = lesson.on_file(file) if file else lesson.spec
        check_data(spec)
        check_budget(spec)
        view_id = store().submit(spec, owner=visitor(), origin="lesson")
    except SpecError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    go(place, run=view_id)
    st.rerun()


def _amount(spec: ExperimentSpec) -> str:
    arms = "1 arm" if len(spec.arms) == 1 else f"{len(spec.arms)} arms"
    return f"{arms} × {spec.seeds} seeds × {spec.train.steps:,} steps"


def _reveal_button(place: Place) -> None:
    st.button(
        "Reveal the result",
        type="primary",
        icon=":material/visibility:",
        on_click=go,
        args=(place,),
        kwargs={"step": "reveal"},
        key="reveal",
    )
