"""Where things live: directories, the store, files of a user's own."""

from __future__ import annotations

import os
import re
from pathlib import Path

STORES = ("sqlite:///", "postgresql+psycopg://")


def data_dir() -> Path:
    """The directory that holds the store, the checkpoints and the engine's lock: ``$DROPVIZ_DATA`` or the default.

    Raises:
        ValueError: ``DROPVIZ_DATA`` names something that is not a directory.
    """
    return _directory("DROPVIZ_DATA", "~/.local/share/dropviz")


def cache_dir() -> Path:
    """The directory that fetched data sets are kept in: ``$DROPVIZ_CACHE``, else ``datasets`` in the data directory.

    Raises:
        ValueError: ``DROPVIZ_CACHE``, or without it ``DROPVIZ_DATA``, names something that is not a directory.
    """
    named = os.environ.get("DROPVIZ_CACHE", "").strip()
    return _directory("DROPVIZ_CACHE", named) if named else data_dir() / "datasets"


def _directory(variable: str, default: str) -> Path:
    text = os.environ.get(variable, "").strip()
    try:
        path = Path(text or default).expanduser()
        usable = not path.exists() or path.is_dir()  # in this order: another process may be making it
    except (RuntimeError, OSError) as error:  # no such home, or a folder that may not be searched
        raise ValueError(f"{variable} = {text!r} cannot be used ({error}): name another directory.") from None
    if not usable:
        raise ValueError(
            f"{variable} = {text!r} is not a directory: name one, or a path that can be created."
        )
    return path.absolute()


def store_url() -> str:
    """The URL of the store: ``$DROPVIZ_STORE``, else a SQLite file in the data directory.

    Raises:
        ValueError: ``DROPVIZ_STORE`` is no URL of a store.
    """
    url = os.environ.get("DROPVIZ_STORE", "").strip() or f"sqlite:///{data_dir() / 'dropviz.db'}"
    if not url.startswith(STORES) or url in STORES:
        raise ValueError(
            f"DROPVIZ_STORE = {without_password(url)!r} is no URL of a store: write sqlite:///PATH, or"
            " postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
        )
    return url


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    return re.sub(r"(?<=://)([^/@:]*):.*@", r"\1:***@", url)


def files_dir() -> Path | None:
    """The folder of a user's own files that ``$DROPVIZ_FILES`` names, mounted and only read; None where it is not set.

    Raises:
        ValueError: ``DROPVIZ_FILES`` names something that is not a directory.
    """
    return _existing("DROPVIZ_FILES")


def lessons_dir() -> Path | None:
    """The folder of a teacher's own lessons that ``$DROPVIZ_LESSONS`` names; None where it is not set.

    Raises:
        ValueError: ``DROPVIZ_LESSONS`` names something that is not a directory.
    """
    return _existing("DROPVIZ_LESSONS")


def _existing(variable: str) -> Path | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    if not os.path.isdir(os.path.expanduser(text)):
        raise ValueError(f"{variable} = {text!r} is not a directory: name one, or unset it.")
    return Path(text).expanduser().absolute()


def extension_paths() -> list[Path]:
    """The files and folders that ``$DROPVIZ_EXTENSIONS`` names, as ``$PATH`` names folders; see ``extensions``."""
    parts = os.environ.get("DROPVIZ_EXTENSIONS", "").split(os.pathsep)
    return [Path(os.path.expanduser(part.strip())).absolute() for part in parts if part.strip()]
