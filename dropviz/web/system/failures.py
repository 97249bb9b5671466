"""What failed lately: one's own, or for an administrator everybody's with its traceback."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dropviz.store import Job
from dropviz.strategies import label
from dropviz.web.admin import is_admin
from dropviz.web.ages import age
from dropviz.web.live import store
from dropviz.web.system.queue import DOES
from dropviz.web.system.tables import cut, table
from dropviz.web.visitor import visitor

MOST_LISTED = 10


def failures() -> None:
    """Draw them; nothing where nothing failed."""
    admin = is_admin()
    failed = store().overview.failures(None if admin else visitor(), MOST_LISTED)
    if not failed:
        return
    st.header("Recent failures" if admin else "Your recent failures")
    now = store().now()
    table([_line(job, now) for job in failed], "Jobs that failed, the latest first")
    for job in failed:
        if job.error and cut(job.error) != job.error:
            _folded(f"All of the error of job {job.id}", job.error)
        if admin and job.traceback:
            _folded(f"Traceback of job {job.id}", job.traceback)


def _folded(title: str, text: str) -> None:
    """A long text, shown as it is."""
    with st.expander(title):
        st.code(text, language=None)


def _line(job: Job, now: float) -> dict[str, Any]:
    return {
        "job": str(job.id),
        "what": label(job.arm) if job.arm else DOES[job.kind],
        "when": f"{age(max(0.0, now - (job.finished_at or now)))} ago",
        "attempts": job.attempt,
        "why": cut(job.error or "–"),
    }
