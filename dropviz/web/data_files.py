"""Data from outside, in the form: a person's own file, and data sets that have to be fetched first."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from dropviz import settings, uploads
from dropviz.datasets import Dataset
from dropviz.downloads import Download, Fetches, Fetching, shown_size
from dropviz.experiment import SpecError
from dropviz.web import handed_in
from dropviz.web.allowance import allowance
from dropviz.web.plain import plain
from dropviz.web.visitor import visitor

LARGEST = 5  # MB of an upload
ENDINGS: dict[uploads.Kind, list[str]] = {"csv": ["csv", "tsv", "txt"], "text": ["txt", "md", "text"]}


@cache
def fetches() -> Fetches:
    """The downloads of this server."""
    return Fetches()


def availability(key: str, data: Dataset) -> None:
    """Say what is missing of a data set, and offer to fetch it; nothing where it can be loaded."""
    reason = data.missing()
    if not reason:
        return
    if not data.files:
        st.info(plain(reason), icon=":material/info:")
        return
    try:
        download = data.download()
    except ValueError as error:  # the settings name no usable folder
        st.error(plain(str(error)), icon=":material/error:")
        return
    hosts = ", ".join(dict.fromkeys(file.host for file in data.files))
    st.info(
        f"**{plain(data.title)}** is not on this server yet: {shown_size(download.size)} from {plain(hosts)}."
        f" Licence: {plain(data.licence)}.",
        icon=":material/download:",
    )
    found = fetches().of(download)
    if found is not None and found.state == "running" and found.waiting:
        _watch(key, download)
        return
    if found is not None and found.state == "failed":
        st.error(plain(found.error), icon=":material/error:")
    words = {"failed": "Fetch again", "cancelled": "Go on fetching", "running": "Go on fetching"}
    st.button(
        f"{words.get(found.state if found else '', 'Fetch')} ({shown_size(download.size)})",
        key=key,
        icon=":material/download:",
        width="stretch",
        on_click=_start,
        args=(download,),
    )


def _start(download: Download) -> None:
    fetches().start(download, visitor())


def _leave(download: Download) -> None:
    fetches().leave(download, visitor())


@st.fragment(run_every=1.0)
def _watch(key: str, download: Download) -> None:
    """How far it is, and a button to cancel; runs the whole page again when it has ended."""
    found = fetches().of(download)
    if found is None or found.state != "running" or not found.waiting:
        st.rerun(scope="app")
    assert found is not None
    st.progress(min(1.0, found.done / found.total), text=plain(told(found)))
    if visitor() in found.waiting:
        st.button("Cancel", key=f"{key}/cancel", width="stretch", on_click=_leave, args=(download,))
    else:
        st.caption("Somebody else fetches it at the moment; it is there for everybody then.")


def told(found: Fetching) -> str:
    """Bytes that are here, of how many, and how fast they come."""
    speed = f" · {shown_size(round(found.speed))}/s" if found.speed is not None else ""
    return f"{shown_size(found.done)} of {shown_size(found.total)}{speed}"


def own_file(key: str, kind: uploads.Kind, value: str) -> str:
    """The knob of a person's own file: an upload, or where a folder is mounted a path in it; returns what names it."""
    given = st.file_uploader(
        "Your CSV file" if kind == "csv" else "Your text file (UTF-8)",
        ENDINGS[kind],
        max_upload_size=LARGEST,
        help="It stays on this server, and its rows are in no file for anybody else. An experiment names it by its SHA-256, so a"
        " link to the experiment goes on working, and who has the link can train on it here.",
        key=key,
    )
    name = _kept(given, kind) if given is not None else ""
    if not name and _mounted():
        name = st.text_input(
            "or a file of the mounted folder",
            "" if uploads.is_upload(value) else value,
            placeholder="path below DROPVIZ_FILES",
            key=f"{key}/path",
        ).strip()
    if not name and uploads.is_upload(value):
        st.caption(plain(f"In use: {st.session_state.get(f'upload/{value}', f'the upload {value[:12]}…')}"))
    return name or value


def _kept(given: Any, kind: uploads.Kind) -> str:
    """Keep an upload, once, and remember what its owner calls it."""
    known = f"kept/{given.file_id}"
    if known not in st.session_state:
        content = given.getvalue()
        try:
            with allowance().of(visitor(), 0 if uploads.is_kept(content) else len(content)):
                digest = uploads.keep(content, kind)
            handed_in.note(visitor(), digest)
        except SpecError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return ""
        except OSError as error:
            st.error(plain(f"It could not be kept: {error.strerror or error}."), icon=":material/error:")
            return ""
        st.session_state[known] = digest
        st.session_state[f"upload/{digest}"] = given.name
    return st.session_state[known]


def _mounted() -> bool:
    try:
        return settings.files_dir() is not None
    except ValueError:  # said when a file of it is read
        return True
