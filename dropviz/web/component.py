"""A component of the page out of a folder of scripts and styles, with what all of them share in front."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import streamlit as st


@cache
def component(name: str, folder: str) -> Any:
    """A component: the shared parts, then the folder's own files in order of their names, as one module.

    Registered once a process, as Streamlit keeps one definition a name.
    """
    return st.components.v2.component(
        name,
        css=source(folder, ".css"),
        js=source(folder, ".js"),
        isolate_styles=False,  # plotly's layout needs the page's own tree
    )


def source(folder: str, ending: str) -> str:
    """The text of a component's files with this ending, the shared parts in front."""
    files = [file for part in ("parts", folder) for file in _files(part)]
    return "\n".join(file.read_text("utf-8") for file in files if file.name.endswith(ending))


def base() -> str:
    """What stands before the server's own routes, where it is served below a path."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def _files(folder: str) -> list[Any]:
    return sorted((resources.files("dropviz.web") / "browser" / folder).iterdir(), key=lambda file: file.name)
