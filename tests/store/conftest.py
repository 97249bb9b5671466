"""A fresh store and a tiny experiment."""

from __future__ import annotations

from collections.abc import Iterator
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
def store(data: Path) -> Iterator[Store]:
    """An empty store in it."""
    opened = Store.open()
    yield opened
    opened.close()


@pytest.fixture
def spec() -> ExperimentSpec:
    """One arm, three seeds; nothing here trains it."""
    return preset("noisy-digits").with_settings(
        ['arms=["none"]', "seeds=3", "train.steps=40", "model.widths=[8]"]
    )
