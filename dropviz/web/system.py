"""The System page: what works here, what waits, and what this installation is."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import streamlit as st

from dropviz import __version__, settings
from dropviz.catalogue import Brought, brought
from dropviz.store import ExperimentSummary, Job, SweepRow, Worker
from dropviz.strategies import label
from dropviz.web import admin
from dropviz.web.ages import age
from dropviz.web.controls import LIVE
from dropviz.web.live import readers, store
from dropviz.web.plain import plain
from dropviz.web.visitor import visitor

LOOK_SECONDS = 2
SILENT_SECONDS = 15
MOST_LISTED = 1000  # of one visitor's experiments, among which the live ones are looked for
DOES = {"train": "trains", "estimate": "estimates the time", "refresh": "measures the spectrum"}
PACKAGES = ("streamlit", "torch", "plotly", "numpy")


def page() -> None:
    """Draw the page."""
    st.title("System")
    _activity()
    _extensions()
    _installation()
    admin.section()


@st.fragment(run_every=LOOK_SECONDS)
def _activity() -> None:
    now = time.time()
    _workers(store().workers(), now)
    _jobs(store().live_jobs(), now)
    mine = [line for line in store().experiments(owner=visitor(), limit=MOST_LISTED) if line.state in LIVE]
    sweeps = store().sweeps.under_way(visitor())
    if mine or sweeps:
        _own(mine, sweeps)


def _workers(workers: Sequence[Worker], now: float) -> None:
    st.header("Workers")
    if not workers:
        st.info("No engine serves this data directory. `dropviz serve` starts one and keeps it.")
        return
    _table([_worker_line(worker, now) for worker in workers], "Engines that take jobs")


def _worker_line(worker: Worker, now: float) -> dict[str, Any]:
    silent = now - worker.heartbeat_at
    state = "working" if worker.slots else "starting"
    return {
        "host": worker.host,
        "process": str(worker.pid),
        "device": worker.device,
        "jobs at once": worker.slots or "–",
        "up": age(now - worker.started_at),
        "state": state if silent < SILENT_SECONDS else f"last seen {age(silent)} ago",
    }


def _jobs(jobs: Sequence[Job], now: float) -> None:
    st.header("Jobs")
    if not jobs:
        st.caption("Nothing runs or waits.")
        return
    _table([_job_line(job, now) for job in jobs], "Jobs that run, wait or are paused")


def _job_line(job: Job, now: float) -> dict[str, Any]:
    return {
        "job": str(job.id),
        "does": DOES[job.kind],
        "arm": label(job.arm) if job.arm else "all",
        "seeds": len(job.seeds) or "–",
        "state": job.state,
        "step": f"{job.step:,} of {job.total:,} ({job.step / job.total:.0%})",
        "steps/s": f"{job.steps_per_second:,.0f}" if job.steps_per_second and job.state == "running" else "–",
        "device": job.device or "–",
        "last seen": f"{age(now - job.heartbeat_at)} ago"
        if job.heartbeat_at and job.state == "running"
        else "–",
        "yours": "yes" if job.owner == visitor() else "",
    }


def _own(mine: Sequence[ExperimentSummary], sweeps: Sequence[SweepRow]) -> None:
    st.header("Your experiments")
    for line in mine:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"{line.title} · {line.state}, {line.step:,} of {line.total:,} steps", width="stretch"
            )
            st.link_button("Open", f"lab?run={line.id}")
            st.button("Stop", key=f"stop/{line.id}", on_click=_stop, args=(line.id,))

    for row in sweeps:
        with st.container(horizontal=True, vertical_alignment="center"):
            states = store().sweeps.states(row.id)
            done = sum(cell.state == "done" for cell in states)
            st.markdown(f"{plain(row.title)} · {done:,} of {len(states):,} cells", width="stretch")
            st.link_button("Open", f"what-if?sweep={row.id}")
            st.button("Stop", key=f"stop/{row.id}", on_click=store().sweeps.stop, args=(row.id,))


def _stop(view_id: str) -> None:
    if store().experiment(view_id).owner == visitor():
        store().request(view_id, "stop")


def _extensions() -> None:
    """What the server's settings name, if anything."""
    found = brought()
    if not found:
        return
    st.subheader("Extensions")
    for one in found:
        for problem in one.problems:
            st.warning(plain(problem), icon=":material/extension_off:")
    _table([_extension_line(one) for one in found], "Extensions, and what each of them brings")


def _extension_line(one: Brought) -> dict[str, Any]:
    state = "cannot be used" if one.problems and not one.parts else "in part" if one.problems else "in use"
    changed = "changed since: restart dropviz serve"
    return {
        "from": one.origin,
        "brings": ", ".join(f"{kind} {name}" for kind, name in one.parts) or "–",
        "state": changed if one.changed else state,
    }


def _installation() -> None:
    st.header("Installation")
    folder = settings.data_dir()
    free = shutil.disk_usage(folder if folder.exists() else folder.parent).free / 2**30
    lines = {
        "DropViz": __version__,
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "Training device": settings.device(),
        "Cores": str(settings.cores()),
        "Data directory": str(folder),
        "Free disk": f"{free:,.1f} GiB",
        "Experiments watched now": str(len(readers())),
    }
    _table(
        [{"": name, "value": value} for name, value in lines.items()],
        "Versions, device and disk",
        header=False,
    )


def _table(lines: list[dict[str, Any]], alt: str, *, header: bool = True) -> None:
    st.table(lines, border="horizontal", hide_index=True, hide_header=not header, alt=alt)
