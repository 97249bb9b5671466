"""The System page: who works, who waits, what failed, what it takes, and what this installation is."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import streamlit as st

from dropviz import __version__, settings
from dropviz.catalogue import Brought, brought
from dropviz.downloads import shown_size
from dropviz.store import StoreError, Worker
from dropviz.web import admin, disk
from dropviz.web.ages import age
from dropviz.web.live import readers, store
from dropviz.web.plain import plain
from dropviz.web.system.failures import failures
from dropviz.web.system.queue import queue
from dropviz.web.system.tables import table

LOOK_SECONDS = 2
PACKAGES = ("streamlit", "torch", "plotly", "numpy")
PARTS = {
    "database": "Results and queue",
    "weights": "Weights at former steps",
    "checkpoints": "Checkpoints",
    "uploads": "Uploaded files",
    "datasets": "Fetched data sets",
}


def page() -> None:
    """Draw the page."""
    st.title("System")
    _activity()
    _disk()
    _extensions()
    _installation()
    admin.section()


@st.fragment(run_every=LOOK_SECONDS)
def _activity() -> None:
    """What changes by itself. A store that cannot be read is said here, where one looks when something is wrong."""
    try:
        _workers(store().workers(), store().now())
        queue()
        failures()
    except StoreError as error:
        st.error(plain(str(error)), icon=":material/database_off:")


def _workers(workers: Sequence[Worker], now: float) -> None:
    st.header("Workers")
    if not workers:
        st.info("No engine serves this data directory. `dropviz serve` starts one and keeps it.")
        return
    table([_worker_line(worker, now) for worker in workers], "Engines that take jobs")


@st.fragment(run_every=10 * LOOK_SECONDS)
def _disk() -> None:
    """What the store takes; it is looked at in the background, so that the page does not wait."""
    st.header("Disk")
    found = disk.usage()
    if found is None:
        st.caption("Looking at the disk …")
        return
    if found.low:
        st.warning(
            f"Only {shown_size(found.free)} are free: free some of the disk, or delete old experiments with `dropviz prune`.",
            icon=":material/hard_drive:",
        )
    lines = [{"": PARTS[name], "size": shown_size(size)} for name, size in found.parts.items()]
    table(
        [*lines, {"": "Free", "size": shown_size(found.free)}],
        "What takes how much of the disk",
        header=False,
    )


def _worker_line(worker: Worker, now: float) -> dict[str, Any]:
    state = "working" if worker.slots else "starting"
    return {
        "host": worker.host,
        "process": str(worker.pid),
        "device": worker.device,
        "jobs at once": worker.slots or "–",
        "up": age(now - worker.started_at),
        "state": f"last seen {age(now - worker.heartbeat_at)} ago" if worker.silent(now) else state,
    }


def _extensions() -> None:
    """What the server's settings name, if anything."""
    found = brought()
    if not found:
        return
    st.subheader("Extensions")
    for one in found:
        for problem in one.problems:
            st.warning(plain(problem), icon=":material/extension_off:")
    table([_extension_line(one) for one in found], "Extensions, and what each of them brings")


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
    lines = {
        "DropViz": __version__,
        "Python": platform.python_version(),
        **{name: settings.version_of(name) for name in PACKAGES},
        "Training device": settings.device(),
        "Cores": str(settings.cores()),
        "Data directory": str(settings.data_dir()),
        "Experiments watched now": str(len(readers())),
    }
    table(
        [{"": name, "value": value} for name, value in lines.items()],
        "Versions, device and disk",
        header=False,
    )
