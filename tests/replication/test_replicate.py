"""``dropviz replicate`` with the real engine: what it writes, that it goes on from where it was, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from dropviz.choices import SpecError
from dropviz.cli import main
from dropviz.commands.replicate import running
from dropviz.replication import own_results, read_results, row, rows
from dropviz.store import Store


def test_a_replication_runs_goes_on_and_is_kept(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tiny / "out"
    out.mkdir()
    (out / "results.json").write_text(
        '{"masks": 1}'
    )  # of another program, or another version: it is replaced
    with pytest.raises(SpecError, match=r"results\.json holds no results of a replication"):
        read_results(out / "results.json")
    assert running.replicate([row("masks")], "small", out) == 0
    text = (out / "results.json").read_text("utf-8")
    assert "NaN" not in text
    assert json.loads(text)["masks"]["settings"]["digits"]["arms"]["none"]["values"].keys() == {"0", "1", "2"}
    first = read_results(out / "results.json")
    assert set(first) == {"masks"}
    assert first["masks"].versions["code"]
    said = capsys.readouterr()
    assert "1 of 1: Few digits, 3 arms, 3 seeds" in said.err
    assert said.out.startswith("masks: ")

    assert running.replicate([row("data")], "small", out) == 0  # one of its two settings is there already
    assert "dropout: cached" in capsys.readouterr().err
    both = read_results(out / "results.json")
    assert both["masks"] == first["masks"]
    assert both["data"].settings["compared"].claims[0].verdict is not None
    assert own_results() == {"small": both}

    store = Store.open()
    jobs = {job.id for line in store.experiments(limit=10) for job in store.experiment(line.id).jobs}
    store.close()
    assert len(jobs) == 6  # three arms of two settings, each once

    report = (out / "report.html").read_text("utf-8")
    assert "More masks are worse." in report
    assert both["masks"].settings["digits"].claims[0].sentence in report
    assert "https://cdn" not in report


def test_stopped_it_keeps_what_it_has(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (tiny / "settings" / "small-more.toml").read_text().replace("steps = 30", "steps = 200000")
    (tiny / "settings" / "small-more.toml").write_text(text)
    out = tiny / "out"

    def interrupt() -> None:
        while not (out / "results.json").exists():
            time.sleep(0.05)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    assert running.replicate(rows(), "small", out) == 130
    found = read_results(out / "results.json")
    assert found["masks"].settings["digits"].arms["dropout-2"].n == 3
    assert found["data"].verdict is None
    assert "the same command goes on from there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "fig99"], "'fig99' is not a row of the paper"),
        (["--scale", "full", "--only", "masks"], "There is no setting of scale full for masks"),
        (["--scale", "huge"], "huge"),
    ],
)
def test_bad_input_is_told_in_a_sentence(
    tiny: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replicate", *arguments, "--out", str(tiny / "out")])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert sentence in said
    assert "Traceback" not in said


def test_an_estimate_says_what_each_setting_takes_and_runs_nothing(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert running.estimate([row("masks")], "small") == 0
    each, together = capsys.readouterr().out.splitlines()
    assert each.startswith("Few digits: about ")
    assert together.startswith("together about ")
    store = Store.open()
    assert store.experiments(limit=10) == []
    store.close()
