"""A store of its own and a small spec."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")
    monkeypatch.delenv("DROPVIZ_STORE", raising=False)
    opened = Store.open()
    yield opened
    opened.close()


@pytest.fixture
def spec() -> ExperimentSpec:
    settings = ['arms=["dropout-8", "none", "dropout"]', "seeds=3", "first_seed=4", "train.steps=40"]
    return preset("noisy-digits").with_settings([*settings, "model.widths=[8]"])
