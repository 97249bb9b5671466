"""Rows and settings as small as they can be, in folders of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dropviz.replication import paper, results, settings

SETTING = """
title = "Few digits"
scale = "small"
k = [2]
[spec]
seeds = 3
[spec.data]
name = "digits"
train_size = 50
[spec.model]
name = "mlp"
widths = [8]
[spec.train]
steps = 30
[spec.observe]
evaluations = 2
statistics = 0
"""
ROW = """
place = 1
where = "Figure 1"
title = "Masks"
claim = "More masks are worse."
meaning = "Noise is lost."
paper = ["108.76"]
[[claims]]
kind = "trend"
along = "k"
gets = "worse"
[[claims]]
kind = "better"
a = "dropout-K"
b = "none"
"""
COMPARED = """
place = 2
where = "Text"
title = "Data"
claim = "With more data the gap is smaller."
meaning = "There is nothing to prevent."
compared = { few = "digits", many = "more" }
[[claims]]
kind = "smaller-gap"
gap = ["many: dropout", "many: dropout-K"]
than = ["few: dropout", "few: dropout-K"]
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two rows on two settings, and a data directory."""
    for name in ("rows", "settings"):
        (tmp_path / name).mkdir()
    (tmp_path / "settings" / "small-digits.toml").write_text(SETTING)
    more = SETTING.replace("Few", "More").replace("= 50", "= 100").replace("k = [2]", "k = [2]\nmain = false")
    (tmp_path / "settings" / "small-more.toml").write_text(more)
    (tmp_path / "rows" / "masks.toml").write_text(ROW)
    (tmp_path / "rows" / "data.toml").write_text(COMPARED)
    monkeypatch.setattr(paper, "FOLDER", tmp_path / "rows")
    monkeypatch.setattr(settings, "FOLDER", tmp_path / "settings")
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")
    monkeypatch.setenv("DROPVIZ_SLOTS", "1")
    _forget()
    yield tmp_path
    _forget()


def _forget() -> None:
    for cached in (paper.rows, settings.settings_of, results.recorded):
        cached.cache_clear()
