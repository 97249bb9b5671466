"""The database below the store: transactions of two kinds, one clock, and refusing what is not ours. SQLite or PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, exc, make_url

from dropviz.settings import without_password
from dropviz.store.database.base import Database
from dropviz.store.database.postgresql import PostgreSQL
from dropviz.store.database.sqlite import SQLite
from dropviz.store.records import StoreError

__all__ = ["Database", "open_database"]


def open_database(url: str | Path, *, verify: bool = True) -> Database:
    """Open, create or upgrade a database.

    Args:
        url: ``sqlite:///PATH``, a path, or ``postgresql+psycopg://…``.
        verify: Check a file's integrity first; a child that the engine started need not.

    Raises:
        StoreError: It is none of these, corrupt, foreign, from a newer version, cannot be reached or cannot be written.
    """
    if isinstance(url, Path) or "://" not in url:
        return SQLite(URL.create("sqlite", database=str(Path(url).absolute())), verify=verify)
    parsed = _parsed(url)
    if parsed.drivername == "postgresql+psycopg" and parsed.database:
        return PostgreSQL(parsed)
    if parsed.drivername == "sqlite" and parsed.database:
        return SQLite(parsed, verify=verify)
    raise StoreError(
        f"{without_password(url)!r} is no store: write sqlite:///PATH, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
    )


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        odd = not url.startswith("sqlite") and "@" in (parsed.database or "")
    except (exc.ArgumentError, ValueError):
        odd = True
    if odd:
        raise StoreError(
            f"{without_password(url)!r} cannot be read as the URL of a store: write %40 for @, %3A for : and %2F for / in a"
            " password."
        )
    return parsed
