"""A fresh store and a tiny experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Store


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of its own."""
    folder = tmp_path / "data"
    monkeypatch.setenv("DROPVIZ_DATA", str(folder))
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")
    monkeypatch.delenv("DROPVIZ_STORE", raising=False)
    return folder


@pytest.fixture
def postgres_url(data: Path, postgres_server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database on a real PostgreSQL, which the settings name."""
    url = postgres_server.create()
    monkeypatch.setenv("DROPVIZ_STORE", url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, data: Path) -> Iterator[Store]:
    """An empty store in it, of each kind."""
    if request.param == "postgresql":
        request.getfixturevalue("postgres_url")
    opened = Store.open()
    yield opened
    opened.close()


@pytest.fixture
def file_store(data: Path) -> Iterator[Store]:
    """An empty store in a SQLite file."""
    opened = Store.open()
    yield opened
    opened.close()


@pytest.fixture
def later(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass, by the clock that the store's users share."""
    now = store.database.now

    def skip(seconds: float) -> None:
        monkeypatch.setattr(store.database, "now", lambda: now() + seconds)

    return skip


@pytest.fixture
def spec() -> ExperimentSpec:
    """One arm, three seeds; nothing here trains it."""
    return preset("noisy-digits").with_settings(
        ['arms=["none"]', "seeds=3", "train.steps=40", "model.widths=[8]"]
    )
