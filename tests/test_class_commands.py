"""``dropviz class`` as a person runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dropviz.store import Store

ROOT = Path(__file__).resolve().parents[1]


def run(data: Path, *arguments: str) -> tuple[int, str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DROPVIZ_")}
    changes = {"DROPVIZ_DATA": str(data), "DROPVIZ_DEVICE": "cpu", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "dropviz", "class", *arguments]
    done = subprocess.run(command, env=inherited | changes, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def created(data: Path) -> str:
    choices = ("--title", "Tuesday", "--open", "p, arms", "--seeds", "4", "--ends", "2h")
    code, said, err = run(
        data, "create", *choices, "--set", "train.steps=40", "--url", "http://10.0.0.5:8501/"
    )
    assert code == 0, err
    return said


def test_a_class_is_created_with_both_links(data: Path, created: str) -> None:
    join, teach = re.findall(r"http://10\.0\.0\.5:8501/(?:join/|class\?teach=)([0-9a-z-]{19})", created)
    store = Store.open(data / "dropviz.db")
    found = store.classes.by_code(join)
    assert store.classes.by_code(teach, "teach") == found
    definition = found.definition
    assert (definition.title, definition.open, definition.seeds) == ("Tuesday", ("p", "arms"), 4)
    assert definition.spec.train.steps == 40
    assert definition.expires_at == pytest.approx(time.time() + 7200, abs=300)
    store.close()


def test_classes_are_listed_closed_and_opened_again(data: Path, created: str) -> None:
    link = re.search(r"http\S+/join/\S+", created)
    assert link is not None
    for verb, state in (("close", "closed"), ("reopen", "open")):
        assert run(data, verb, link[0])[:2] == (0, f"Tuesday is {state}.\n")
        assert (
            f"Tuesday: {'This class is closed' if state == 'closed' else 'open, 0 joined'}"
            in run(data, "list")[1]
        )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "--title", "T", "--ends", "soon"), "--ends 'soon' is not a time: write 90m, 2h or 7d."),
        (("create", "--title", "T", "--open", "q"), "'q' is not a setting that can be opened"),
        (("create", "--title", "T", "--preset", "nothing"), "nothing"),
        (("close", "abcd-efgh-jkmn-pqrs"), "This is no link to a class on this server"),
    ],
)
def test_bad_input_is_one_sentence(data: Path, arguments: tuple[str, ...], sentence: str) -> None:
    code, said, err = run(data, *arguments)
    assert (code, said) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_an_empty_list_says_how_to_begin(tmp_path: Path) -> None:
    assert run(tmp_path, "list")[1].startswith("There is no class yet: dropviz class create")
