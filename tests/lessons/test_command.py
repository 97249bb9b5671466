"""``dropviz lessons``: what the records say, and a record made anew by the real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dropviz.lessons import entries, read_lesson
from tests.lessons.samples import HEAD, write


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A teacher's folder with one small lesson."""
    folder = tmp_path / "own"
    folder.mkdir()
    write(folder, "99-small")
    return folder


def command(own: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DROPVIZ_")}
    environment = inherited | {"DROPVIZ_DATA": str(own.parent / "data"), "DROPVIZ_DEVICE": "cpu"}
    return subprocess.run(
        [sys.executable, "-m", "dropviz", "lessons", *arguments],
        env=environment | {"DROPVIZ_LESSONS": str(own)},
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_the_list_says_what_each_record_says(own: Path) -> None:
    done = command(own)
    assert done.returncode == 1
    for one in entries():
        assert f"{one.name}: {one.title}" in done.stdout
    assert "not recorded as it is now: run dropviz lessons --check small" in done.stdout
    assert "[green]" in done.stdout


def test_a_lesson_is_run_recorded_and_judged_again_when_its_claim_changes(own: Path) -> None:
    first = command(own, "--check", "small")
    assert first.stdout.startswith("small: A small lesson"), first.stderr
    path = own / "results" / "small.json"
    table = json.loads(path.read_text("utf-8"))
    assert (table["seeds"], len(table["judgements"])) == ([0, 1, 2], 1)
    assert set(table["values"]) == {"none", "dropout"}
    assert table["versions"]["torch"]
    assert not (own.parent / "data").exists()
    write(
        own,
        "99-small",
        effects=HEAD["effects"].replace("better", "equivalent").replace(" b =", " margin = 0.9, b ="),
    )
    assert read_lesson(own / "99-small.md").effects[0].claim["kind"] == "equivalent"
    again = command(own, "--check", "--stale", "small")
    assert (again.returncode, "[green]" in again.stdout) == (0, True), again.stdout + again.stderr
    assert json.loads(path.read_text("utf-8"))["values"] == table["values"]
    former = table | {"versions": table["versions"] | {"code": "former"}}
    path.write_text(json.dumps(former), encoding="utf-8")
    command(own, "--check", "--stale", "small")
    assert json.loads(path.read_text("utf-8"))["versions"] == table["versions"]


def test_mistakes_are_one_sentence(own: Path) -> None:
    done = command(own, "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("dropviz: There is no lesson 'nonsense': choose one of boundary, ")
    (own / "99-small.md").write_text("+++\ntitle = 3\n+++\n", encoding="utf-8")
    done = command(own, "small")
    assert (done.returncode, done.stdout) == (
        1,
        "small: 99-small.md: title = 3 is not possible: it must be text.\n",
    )
