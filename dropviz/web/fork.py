"""Fork from here: a run as it was up to a step, that goes on as another arm. The panel that asks for it, and the way back."""

from __future__ import annotations

import streamlit as st

from dropviz.choices import SpecError
from dropviz.experiment import ExperimentSpec
from dropviz.store import Experiment
from dropviz.strategies import examples, forked, label, strategy
from dropviz.web.controls import submit
from dropviz.web.estimates import amount, amount_and_time
from dropviz.web.examples import PREFIX
from dropviz.web.plain import plain
from dropviz.web.presses import pressed
from dropviz.web.shown import forget, name_in_url

GOES_ON = "explicit+implicit"  # dropout's formulas: what most forks are for


def offer(view_id: str, arm: str, step: int) -> None:
    """Have the panel drawn for this run, beginning with this arm and step."""
    st.session_state["fork"] = (view_id, arm, step)


def offer_button(experiment: Experiment) -> None:
    """The Lab's way to the panel: at the step that the run has reached, or half way through one that is done."""
    spec = experiment.spec
    if spec.train.steps < 2:
        return
    arm = "dropout" if "dropout" in spec.arms else spec.arms[0]
    jobs = {result.job_id for result in experiment.results if result.arm == arm}
    reached = min(job.step for job in experiment.jobs if job.id in jobs)
    step = reached if 0 < reached < spec.train.steps else spec.train.steps // 2
    st.button(
        "Fork from here",
        type="tertiary",
        key="offer_fork",
        help="Go on from a step of this run as another arm, such as dropout's formulas in its place.",
        on_click=offer,
        args=(experiment.id, arm, step),
    )


def fork_panel(view_id: str, spec: ExperimentSpec, experiment: Experiment | None) -> None:
    """Draw the panel if it was asked for, and the way back from a fork.

    Args:
        view_id, spec: What is shown.
        experiment: The same where it is a run; None where it is an example, of which nothing can be taken over.
    """
    _way_back(view_id)
    shown, arm, step = st.session_state.get("fork", ("", "", 0))
    if shown != view_id or spec.train.steps < 2:
        return
    with st.container(border=True, key="fork_panel"):
        st.subheader("Fork this run", anchor=False)
        st.caption(
            "Up to the step it is the run that you see, to the bit; then it goes on as another arm, with the same seeds,"
            " minibatches and masks."
        )
        forks = _choices(f"fork/{view_id}/{arm}/{step}", spec, arm, step)
        _run(view_id, spec, forks, experiment)


def _choices(key: str, spec: ExperimentSpec, arm: str, step: int) -> list[str] | None:
    """What is to be forked, where and as what: the names of the new arms; None where that cannot be, which is said."""
    left, middle, right = st.columns([2, 1, 2])
    last = spec.train.steps - 1
    arms = left.multiselect("Fork", spec.arms, [arm], format_func=label, key=f"{key}/arms")
    at = middle.number_input("At step", 1, last, min(max(step, 1), last), key=f"{key}/step")
    fitting = [name for name in examples() if not strategy(name).unfit(spec.data.task)]
    usual = fitting.index(GOES_ON) if GOES_ON in fitting else 0
    then = right.selectbox("And go on with", fitting, usual, format_func=label, key=f"{key}/then")
    try:
        found = [forked(one, at, then) for one in arms]
        _together(spec, found)
    except SpecError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    return found


def _together(spec: ExperimentSpec, forks: list[str]) -> ExperimentSpec:
    """The arms of the run and the forks: the same experiment, so that they are compared seed by seed."""
    return ExperimentSpec.from_table(spec.to_table() | {"arms": [*spec.arms, *forks]})


def _run(view_id: str, spec: ExperimentSpec, forks: list[str] | None, experiment: Experiment | None) -> None:
    """What will run, how long that takes, and the buttons."""
    needed = [*_to_compute(spec, experiment), *(forks or [])]
    if forks:
        st.caption("New: " + "; ".join(map(label, forks)) + ". What this run has is taken over.")
        only = ExperimentSpec.from_table(spec.to_table() | {"arms": needed})
        amount_and_time(amount(len(needed), spec.seeds, spec.train.steps), only, key="fork_estimate")
    with st.container(horizontal=True):
        wanted = pressed("Run the fork", type="primary", key="run_fork", disabled=not forks)
        st.button("Close", key="close_fork", on_click=st.session_state.pop, args=("fork", None))
    if not (wanted and forks):
        return
    try:
        found = submit(_together(spec, forks).to_table())
    except SpecError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state.setdefault("forked_from", {})[found] = view_id
    st.session_state.pop("fork", None)
    _open(found)
    st.rerun()


def _to_compute(spec: ExperimentSpec, experiment: Experiment | None) -> list[str]:
    """The arms of a run that are not there and not under way: what failed or was stopped, and all of an example."""
    if experiment is None:
        return list(spec.arms)
    lost = {job.id for job in experiment.jobs if job.state in ("failed", "stopped")}
    return list(dict.fromkeys(result.arm for result in experiment.results if result.job_id in lost))


def _way_back(view_id: str) -> None:
    former = st.session_state.get("forked_from", {}).get(view_id)
    if former is not None:
        st.button(
            "Back to the run before the fork", type="tertiary", key="unfork", on_click=_open, args=(former,)
        )


def _open(view_id: str) -> None:
    """Show this run, or example, on this page."""
    if view_id.startswith(PREFIX):
        forget()
    else:
        name_in_url({"run": view_id})
