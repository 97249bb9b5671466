"""What processes log: lines with time, role, event and ids; links and visitors only as hashes."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dropviz import logs, settings

ROOT = Path(__file__).resolve().parents[1]
VIEW = "0123456789abcdef" * 2
SCRIPT = f"""
import logging, sys, warnings
from dropviz import logs
logs.configure("child", job=7, attempt=2)
logger = logging.getLogger("dropviz.test")
logger.debug("seen by debug alone")
logger.info("job ends", extra=logs.of(outcome="done", experiment="{VIEW}", nothing=None))
try:
    raise ValueError("There is no experiment '{VIEW}'")
except ValueError:
    logger.exception("it failed")
logger.warning("GET /join/abcdefghijkl0123 and /lab?class=abcdefghijkl0123&a=b")
logs.capture_stderr()
print("some library says", file=sys.stderr, end=" ")
print("this", file=sys.stderr)
warnings.warn("deprecated")
"""
HOSTILE = "\x1b]0;owned\x07\x9b31m\r\n2026-01-01T00:00:00.000Z info serve: administration begins\u2028\u202e\U000e0041\x7f"
HOSTILE_SCRIPT = f"""
import logging
from dropviz import logs
hostile = {HOSTILE!r}
logs.configure("page", host=hostile)
logger = logging.getLogger("dropviz.test")
logger.warning("from a visitor: %s", hostile, extra=logs.of(name=hostile, title="größer…"))
try:
    raise ValueError(hostile)
except ValueError:
    logger.exception("it failed")
"""


def lines(script: str = SCRIPT, **settings: str) -> list[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DROPVIZ_")}
    environment |= {"PYTHONPATH": str(ROOT)} | settings
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stderr.decode().removesuffix("\n").split("\n")


def test_json_has_one_object_a_line_with_what_the_process_and_the_event_are_about() -> None:
    found = [json.loads(line) for line in lines(DROPVIZ_LOG="json")]
    assert [line["event"] for line in found][:2] == ["job ends", "it failed"]
    for line in found:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert (line["role"], line["job"], line["attempt"]) == ("child", 7, 2)
    assert found[0] | {"time": ""} == {
        "time": "",
        "level": "info",
        "role": "child",
        "event": "job ends",
        "job": 7,
        "attempt": 2,
        "outcome": "done",
        "experiment": logs.short(VIEW),
        "logger": "dropviz.test",
    }
    assert found[1]["traceback"].startswith("Traceback")
    assert found[3]["event"] == "some library says this"
    assert "deprecated" in found[4]["event"]


def test_text_is_one_line_to_read() -> None:
    first, *_ = lines()
    ending = f"info child: job ends job=7 attempt=2 outcome=done experiment={logs.short(VIEW)}"
    assert first.partition(" ")[2] == ending


@pytest.mark.parametrize("form", ["text", "json"])
def test_links_are_never_in_a_log_in_full(form: str) -> None:
    text = "\n".join(lines(DROPVIZ_LOG=form))
    assert VIEW not in text
    assert f"#{logs.short(VIEW)}" in text  # in the traceback's message, too
    assert "abcdefghijkl" not in text
    assert "/join/…" in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_somebody_sends_ends_no_line_and_steers_no_terminal(form: str) -> None:
    found = lines(HOSTILE_SCRIPT, DROPVIZ_LOG=form)
    assert all(line.isprintable() for line in found)
    first, second = (line for line in found if not line.startswith("  "))  # a traceback is indented
    assert not any(line.startswith("2026-01-01") for line in found)
    if form == "json":
        assert json.loads(first)["event"] == f"from a visitor: {HOSTILE}"
        assert (json.loads(first)["name"], json.loads(first)["title"]) == (HOSTILE, "größer…")
        assert HOSTILE in json.loads(second)["traceback"]
    else:
        assert "title=größer…" in first
        assert found[found.index(second) + 1] == "  Traceback (most recent call last):"


def test_the_level_decides_what_is_logged() -> None:
    assert "seen by debug alone" in "".join(lines(DROPVIZ_LOG_LEVEL="debug"))
    assert "job ends" not in "".join(lines(DROPVIZ_LOG_LEVEL="warning"))


def test_a_wrong_choice_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_LOG", "xml")
    with pytest.raises(ValueError, match="DROPVIZ_LOG = 'xml' is not possible: choose text, json"):
        logs.configure("serve")
    monkeypatch.setenv("DROPVIZ_LOG_LEVEL", "loud")
    with pytest.raises(ValueError, match="choose info, debug, warning, error"):
        settings.log_level()


def test_the_web_servers_own_loggers_write_through_ours() -> None:
    foreign = logging.getLogger("streamlit.a_test_of_dropviz")
    foreign.addHandler(logging.StreamHandler())
    foreign.propagate = False
    ours = logging.getLogger("dropviz.a_test")
    ours.propagate = True
    logs.adopt()
    assert (foreign.handlers, foreign.propagate) == ([], True)
    assert not logging.getLogger("uvicorn.access").isEnabledFor(logging.INFO), "no line a request"
