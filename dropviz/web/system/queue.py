"""What runs and waits: one's own in full, others' as counts; an administrator sees all and may stop any of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dropviz import logs
from dropviz.store import ExperimentSummary, Job, SweepRow, UnknownExperiment
from dropviz.store.overview import MOST_LISTED, Share
from dropviz.strategies import label
from dropviz.web.admin import is_admin
from dropviz.web.ages import age
from dropviz.web.controls import LIVE
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.system.tables import of, table
from dropviz.web.visitor import visitor

MOST_LOOKED_AT = 1000  # of one visitor's experiments, among which the live ones are looked for
DOES = {"train": "trains", "estimate": "estimates the time", "refresh": "measures the spectrum"}


def queue() -> None:
    """Draw it."""
    st.header("Queue")
    shares, admin = store().overview.shares(), is_admin()
    if not shares:
        st.caption("Nothing runs or waits.")
    else:
        st.markdown(_summary(shares))
        _shares(shares, admin)
        jobs = store().overview.live_jobs(None if admin else visitor())
        if jobs:
            _jobs(jobs, store().overview.places(visitor()), admin)
    _own()
    if admin:
        _everybodys()


def _summary(shares: Sequence[Share]) -> str:
    running, waiting = sum(one.running for one in shares), sum(one.waiting for one in shares)
    mine = next((one for one in shares if one.owner == visitor()), None)
    said = f"{of(running, 'job')} {'runs' if running == 1 else 'run'}, {waiting:,} {'waits' if waiting == 1 else 'wait'}."
    if mine is None or mine.place is None:
        return said
    next_one = (
        "Your next job is the next of all."
        if mine.place == 1
        else f"Your next job is number {mine.place:,} in line."
    )
    return f"{said} {next_one}"


def _shares(shares: Sequence[Share], admin: bool) -> None:
    """Who has how much, in the order in which they are served; of others a visitor learns the numbers only."""
    others = [one for one in shares if one.owner != visitor()]
    lines = [_share("you", [one]) for one in shares if one.owner == visitor()]
    if admin:
        lines = [_share(_name(one.owner), [one]) for one in shares]
    elif others:
        lines.append(_share(of(len(others), "other person").replace("persons", "people"), others))
    table(lines, "Whose jobs run and wait, who is next first" if admin else "Your jobs and those of others")


def _name(owner: str) -> str:
    """An id is what a visitor is known by, so not even administrators see it."""
    return "you" if owner == visitor() else f"visitor {logs.short(owner)[:6]}"


def _share(name: str, shares: Sequence[Share]) -> dict[str, Any]:
    places = [one.place for one in shares if one.place is not None]
    return {
        "who": name,
        "running": sum(one.running for one in shares) or "–",
        "waiting": sum(one.waiting for one in shares) or "–",
        "paused": sum(one.paused for one in shares) or "–",
        "next in line": min(places) if places else "–",
    }


def _jobs(jobs: Sequence[Job], places: Mapping[int, int], admin: bool) -> None:
    now = store().now()
    table([_job_line(job, places, now, admin) for job in jobs], "Jobs that run, wait or are paused")
    if len(jobs) == MOST_LISTED:
        st.caption(f"The first {MOST_LISTED} are listed.")


def _job_line(job: Job, places: Mapping[int, int], now: float, admin: bool) -> dict[str, Any]:
    running = job.state == "running"
    seen = f"{age(now - job.heartbeat_at)} ago" if running and job.heartbeat_at else "–"
    speed = f"{job.steps_per_second:,.0f}" if running and job.steps_per_second else "–"
    return {
        "job": str(job.id),
        **({"who": _name(job.owner)} if admin else {}),
        "does": DOES[job.kind],
        "arm": label(job.arm) if job.arm else "all",
        "seeds": len(job.seeds) or "–",
        "state": f"queued, number {places[job.id]:,}" if job.id in places else job.state,
        "step": f"{job.step:,} of {job.total:,} ({job.step / job.total:.0%})",
        "steps/s": speed,
        "device": job.device or "–",
        "last seen": seen,
    }


def _own() -> None:
    """The visitor's experiments and sweeps that are under way, to open or to stop."""
    lines = store().experiments(owner=visitor(), limit=MOST_LOOKED_AT)
    mine = [line for line in lines if line.state in LIVE]
    sweeps = store().sweeps.under_way(visitor())
    if not mine and not sweeps:
        return
    st.header("Your experiments")
    for line in mine:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_progress(line.title, line.state, line.step, line.total), width="stretch")
            st.link_button("Open", f"lab?run={line.id}")
            st.button("Stop", key=f"stop/{line.id}", on_click=_stop, args=(line.id,))
    for row in sweeps:
        _sweep(row)


def _progress(title: str, state: str, step: int, total: int) -> str:
    return f"{plain(title)} · {state}, {step:,} of {total:,} steps"


def _sweep(row: SweepRow) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        states = store().sweeps.states(row.id)
        done = sum(cell.state == "done" for cell in states)
        st.markdown(f"{plain(row.title)} · {done:,} of {len(states):,} cells", width="stretch")
        st.link_button("Open", f"what-if?sweep={row.id}")
        st.button("Stop", key=f"stop/{row.id}", on_click=store().sweeps.stop, args=(row.id,))


def _stop(view_id: str) -> None:
    if store().experiment(view_id).owner == visitor():
        store().request(view_id, "stop")


def _everybodys() -> None:
    """What others started, for an administrator to stop, each after a question."""
    found = [line for line in store().overview.under_way() if line.owner != visitor()]
    measuring = [job for job in store().overview.live_jobs() if job.kind != "train"]
    if not found and not measuring:
        return
    st.header("Experiments of others")
    st.caption(
        "You see these as administrator. Stopping keeps what was computed; jobs that somebody else shares go on."
    )
    for line in found:
        text = f"{_progress(line.title, line.state, line.step, line.total)} · {_name(line.owner)}"
        _stoppable(text, line.id, _stop_any, line)
    for job in measuring:
        _stoppable(
            f"Job {job.id} {DOES[job.kind]} · {job.state} · {_name(job.owner)}", str(job.id), _stop_job, job
        )


def _stoppable(text: str, key: str, stop: Any, what: ExperimentSummary | Job) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(text, width="stretch")
        with st.popover("Stop …"):
            st.write("This is somebody else's. Stop it?")
            st.button("Stop it", key=f"admin/stop/{key}", type="primary", on_click=stop, args=(what,))


def _stop_any(line: ExperimentSummary) -> None:
    if is_admin():
        try:
            store().request(line.id, "stop")
        except UnknownExperiment:
            return
        logs.audit("an administrator stopped an experiment", experiment=line.id)


def _stop_job(job: Job) -> None:
    if is_admin():
        store().stop_job(job.id)
        logs.audit("an administrator stopped a job", job=job.id)
