"""The page of all settings names each of them, with its default; and what documents link to is there."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from dropviz import settings
from dropviz.budget import Budget
from dropviz.commands.upkeep.doctor.basics import known_variables
from dropviz.engine.launch import SUPERVISED
from tests.test_docs import ROOT

DOCUMENTS = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "docs" / "decisions", ROOT / "benchmarks")
    for path in folder.glob("*.md")
)
ROW = re.compile(r"^\| (`DROPVIZ_.+?) \| (.+?) \|", re.MULTILINE)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def rows() -> dict[str, str]:
    """Variable → its default, as the page says it."""
    found = ROW.findall((ROOT / "docs" / "settings.md").read_text("utf-8"))
    return {name: default for names, default in found for name in re.findall(r"DROPVIZ_\w+", names)}


def anchors(text: str) -> set[str]:
    """What headings are called in links, as forges make it."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_setting_has_its_row() -> None:
    assert set(rows()) == known_variables() - {SUPERVISED}


def test_the_limits_are_those_that_hold() -> None:
    limits = {f"DROPVIZ_MAX_{name.upper()}": f"{limit:,}" for name, limit in asdict(Budget()).items()}
    assert {name: default for name, default in rows().items() if name in limits} == limits


def test_other_defaults_are_those_that_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in known_variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(settings.machine, "cores", lambda: 5)
    said = rows()
    assert settings.data_dir() == Path(said["DROPVIZ_DATA"].strip("`")).expanduser()
    assert settings.cache_dir() == settings.data_dir() / "datasets"
    assert settings.store_url() == f"sqlite:///{settings.data_dir() / 'dropviz.db'}"
    assert settings.step_seconds() == 60 * float(said["DROPVIZ_STEP_MINUTES"])
    assert settings.weights_bytes() == 2**20 * int(said["DROPVIZ_WEIGHTS_MB"])
    assert settings.engine() == said["DROPVIZ_ENGINE"].strip("`")
    assert settings.log_format() == said["DROPVIZ_LOG"].strip("`")
    assert settings.slots() == 4
    assert not settings.metrics_are_served()
    nothing = [name for name, default in said.items() if default == "–"]
    assert len(nothing) == 12
    found = (settings.files_dir(), settings.lessons_dir(), settings.admin_token(), settings.metrics_token())
    assert {*found, settings.keep_days(), settings.keep_bytes()} == {None}
    assert settings.extension_paths() == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_links_to_is_there(document: Path) -> None:
    text = CODE.sub("", document.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (document.parent / path).resolve() if path else document
        assert there.exists(), f"{document.name} links to {target}"
        if anchor:
            assert anchor in anchors(there.read_text("utf-8")), f"{document.name} links to {target}"
