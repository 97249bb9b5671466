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
    parsed = _parsed(url)
    if parsed.drivername == "postgresql+psycopg" and parsed.database:
        return PostgreSQL(parsed)
    if parsed.drivername == "sqlite" and parsed.database:
        return SQLite(parsed, verify=verify)
    raise StoreError(
        f"{without_password(str(url))!r} is no store: write sqlite:///PATH, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
    )


def _parsed(url: str | Path) -> URL:
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite", database=str(Path(url).absolute()))
    try:
        return make_url(url)
    except (exc.ArgumentError, ValueError):
        raise StoreError(
            f"{without_password(url)!r} cannot be read as the URL of a store: characters of a password that URLs use for"
            " themselves are written as %40 for @, %3A for : and %2F for /."
        ) from None
