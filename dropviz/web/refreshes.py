"""The whole spectrum at a step that was not planned: a button that has it measured from kept weights, with its cost first."""

from __future__ import annotations

import streamlit as st

from dropviz import settings
from dropviz.duration import REFRESH_IN_LIVE, refresh_seconds, shown_seconds
from dropviz.experiment import live_steps, refresh_steps
from dropviz.store import Experiment, Job, UnknownExperiment
from dropviz.store.records import LIVE
from dropviz.strategies import label
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.progress import last_line
from dropviz.web.visitor import visitor

LOOK_SECONDS = 0.5


def kept_steps(experiment: Experiment, arm: str) -> list[int]:
    """The steps at which the weights of all seeds of an arm are there."""
    found = [set(store().weights.steps(job)) for job in _jobs(experiment, arm)]
    return sorted(set.intersection(*found)) if found else []


def finished_refreshes(experiment: Experiment) -> int:
    """How many refreshes on request of an experiment are done."""
    found = store().refresh_jobs({job.id for job in experiment.jobs})
    return sum(job.state == "done" for job in found)


def nearest_refresh(experiment: Experiment, arm: str, step: int) -> None:
    """``refresh_control`` at the step nearest to this one at which the weights were kept."""
    kept = kept_steps(experiment, arm)
    if kept:
        refresh_control(experiment, arm, min(kept, key=lambda other: (abs(other - step), other)))
    else:
        st.caption(
            f"No weights of {label(arm)} are kept yet: they are from the first evaluation on, unless all of them together would take"
            " more room than this server gives to a run (DROPVIZ_WEIGHTS_MB)."
        )


def refresh_control(experiment: Experiment, arm: str, step: int) -> None:
    """Draw what can be done about the whole spectrum of an arm at a step, or that it is there.

    Not to be called in a fragment: while a refresh waits or runs it is one itself, and draws the page anew at the end.
    """
    asked = _asked(experiment, arm, step)
    there = {job.weights_of for job in asked if job.state == "done"}
    if step in refresh_steps(experiment.spec) or there.issuperset(_jobs(experiment, arm)):
        st.caption(f"The whole spectrum of {label(arm)} is measured at step {step:,}: move there to see it.")
        return
    if any(job.state in LIVE for job in asked):
        _follow(experiment, arm, step)
        return
    if asked and asked[-1].state == "failed":
        st.caption(f"The spectrum at step {step:,} was not measured: {plain(last_line(asked[-1].error))}")
    _button(experiment, arm, step)


def _jobs(experiment: Experiment, arm: str) -> set[int]:
    return {result.job_id for result in experiment.results if result.arm == arm}


def _asked(experiment: Experiment, arm: str, step: int) -> list[Job]:
    found = store().refresh_jobs(_jobs(experiment, arm))
    return [job for job in found if job.weights_step == step]


def _button(experiment: Experiment, arm: str, step: int) -> None:
    kept, mine = kept_steps(experiment, arm), experiment.owner == visitor()
    seconds = _expected(experiment, arm)
    cost = "" if seconds is None else f" (about {shown_seconds(seconds)})"
    if step not in kept:
        why = f"The weights of {label(arm)} were not kept at step {step:,}: choose a step where they were."
    elif not mine:
        why = "Only who started this run can have more of it measured. Press Run in the Lab to have it as your own."
    else:
        why = "Eigenvalues, spectral density, trace and the loss around the weights, from the weights that were kept."
    st.button(
        f"Measure the whole spectrum of {label(arm)} at step {step:,}{cost}",
        key=f"refresh/{arm}",
        icon=":material/query_stats:",
        disabled=not (mine and step in kept),
        help=why,
        on_click=_ask,
        args=(experiment.id, arm, step),
    )
    if not (mine and step in kept):
        st.caption(why)


def _expected(experiment: Experiment, arm: str) -> float | None:
    """Seconds, as far as anything is known: else, on the safe side, by what this arm's live statistics took."""
    known = store().expected_refresh(experiment.spec, arm)
    moments = len(live_steps(experiment.spec))
    taken = [job.statistics_seconds for job in experiment.jobs if job.arm == arm and job.state == "done"]
    if known is not None or not (moments and any(taken)) or experiment.spec.observe.refreshes:
        return known
    return refresh_seconds(experiment.spec, arm, REFRESH_IN_LIVE * max(taken) / moments, settings.slots())


@st.fragment(run_every=LOOK_SECONDS)
def _follow(experiment: Experiment, arm: str, step: int) -> None:
    """While it waits or runs."""
    live = [job for job in _asked(experiment, arm, step) if job.state in LIVE]
    if not live:
        st.rerun()
    seconds = _expected(experiment, arm)
    cost = "" if seconds is None else f", about {shown_seconds(seconds)}"
    running = any(job.state == "running" for job in live)
    st.caption(
        f"The whole spectrum at step {step:,} {'is being measured' if running else 'waits to be measured'}{cost} …"
    )
    mine = [job for job in live if job.owner == visitor()]
    if mine:
        st.button("Stop measuring", key=f"stop-refresh/{arm}", type="tertiary", on_click=_stop, args=(mine,))


def _ask(view_id: str, arm: str, step: int) -> None:
    """Queue it, unless it is not the visitor's or cannot be."""
    try:
        if store().experiment(view_id).owner == visitor():
            store().request_refresh(view_id, arm, step, owner=visitor())
    except UnknownExperiment:
        return
    except ValueError as error:
        st.toast(plain(str(error)))


def _stop(jobs: list[Job]) -> None:
    for job in jobs:
        store().stop_job(job.id)
