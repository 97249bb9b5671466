"""Share: links to what is shown. Keep: its files, and opening an exported run."""

from __future__ import annotations

import html
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from dropviz.experiment import ExperimentSpec, SpecError
from dropviz.experiment.links import query_of
from dropviz.export import record
from dropviz.export.archive import unpacked
from dropviz.scripts.script_data import own_file
from dropviz.store import Experiment, StoreError
from dropviz.store.records import LIVE
from dropviz.web.allowance import allowance
from dropviz.web.component import base, component
from dropviz.web.exports import FORMATS
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.shown import name_in_url
from dropviz.web.visitor import visitor

LARGEST = 32  # MB of a zip that is opened; the server's own limit is the same
EMBEDDED_HEIGHT = 900  # pixels
PATIENCE = 30.0  # seconds that one waits while others open a run
_opening = threading.Lock()


def share(experiment: Experiment | None, spec: ExperimentSpec | None, page: str = "lab") -> None:
    """Links to the result that is shown and to settings; a popover."""
    with st.popover("Share", icon=":material/link:", width="stretch"):
        links = [] if experiment is None else _to_result(experiment, page)
        if spec is not None:
            try:
                note = _settings_note(experiment) + _file_note(spec)
                links.append(_copied("These settings", f"lab?{urlencode(query_of(spec))}", note))
            except SpecError as error:
                st.caption(plain(str(error)))
        elif experiment is None:
            st.caption("The settings cannot be run as they are, so there is no link to them yet.")
        if links:
            _links("share", links)


def _to_result(experiment: Experiment, page: str) -> list[dict[str, Any]]:
    path = f"{page}?run={experiment.id}"
    title = html.escape(f"DropViz: {experiment.spec.title()}", quote=True)
    frame = f'<iframe src="{{url}}" title="{title}" width="100%" height="{EMBEDDED_HEIGHT}" style="border:0"></iframe>'
    note = f"Whoever opens it sees these numbers, live while it runs.{_file_note(experiment.spec)}"
    return [
        _copied("This result", path, note),
        _copied("In a page of yours", f"{path}&embed=true", "Only the result, in a frame.")
        | {"around": frame},
    ]


def _settings_note(experiment: Experiment | None) -> str:
    return "The form as it stands, to run anew." if experiment else "The form as it stands, seeds and all."


def _file_note(spec: ExperimentSpec) -> str:
    """What a link gives away of a person's own file."""
    return " It lets others train on your file here, and gives none of its rows." if own_file(spec) else ""


def keep(experiment: Experiment | None) -> None:
    """Files of what is shown, and opening one; a popover."""
    with st.popover("Keep", icon=":material/download:", width="stretch"):
        if experiment is not None:
            if experiment.state in LIVE or experiment.state == "stalled":
                st.caption("It has not ended: files hold what there is so far.")
            weights = any(store().weights.steps(job.id) for job in experiment.jobs)
            names = [name for name in FORMATS if name != "safetensors" or weights]
            _links("keep", [_kept(experiment, name) for name in names])
            st.caption("Each chart can be saved as an image or CSV by its own **save**.")
        _open()


def _open() -> None:
    """The way back: a zip that was exported here or elsewhere."""
    given = st.file_uploader(
        "Open an exported run",
        "zip",
        max_upload_size=LARGEST,
        key="open",
        help="The zip that Everything gave.",
    )
    if given is None or st.session_state.get("opened") == given.file_id:
        return
    st.session_state["opened"] = given.file_id
    content = given.getvalue()
    try:
        view_id = _opened(content, visitor())
    except SpecError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    except StoreError as error:
        st.error(error.told, icon=":material/error:")
        return
    name_in_url({"run": view_id})
    st.rerun()


def _opened(content: bytes, owner: str) -> str:
    """Keep what a zip holds, one at a time; it counts by what it takes unpacked, as it is kept.

    Raises:
        SpecError: It is no exported run, too much, or others are opened for long.
    """
    with _alone():
        run, numbers = unpacked(content)
        with allowance().of(owner, max(len(content), len(run) + len(numbers))):
            return store().keep_import(record.read(run, numbers), owner=owner)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until nobody else opens a run: each may take hundreds of megabytes, and the store meanwhile."""
    if not _opening.acquire(timeout=PATIENCE):
        raise SpecError(
            "Others open runs on this server at the moment, one after the other: choose the file again in a minute."
        )
    try:
        yield
    finally:
        _opening.release()


def _copied(title: str, path: str, note: str) -> dict[str, Any]:
    return {"title": title, "path": path, "note": note, "copied": True}


def _kept(experiment: Experiment, name: str) -> dict[str, Any]:
    return {
        "title": FORMATS[name].title,
        "note": FORMATS[name].note,
        "path": f"export/{experiment.id}/{name}",
        "copied": False,
    }


def _links(key: str, links: list[dict[str, Any]]) -> None:
    component("dropviz_links", "links")(key=f"links/{key}", data={"links": links, "base": base()})
