"""The ``dropviz`` command as a person runs it: exit codes, sentences, files."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dropviz.commands import serve
from dropviz.store import Store
from tests.houses import free_port

ROOT = Path(__file__).resolve().parents[1]
TINY = ("--set", "train.steps=40", "--set", "model.widths=[8]", "--set", "observe.evaluations=4")
TINY += ("--set", "observe.statistics=2", "--preset", "noisy-digits")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    data = tmp_path_factory.mktemp("data")
    changes = {
        "DROPVIZ_DATA": str(data),
        "DROPVIZ_DEVICE": "cpu",
        "DROPVIZ_SLOTS": "1",
        "PYTHONPATH": str(ROOT),
    }
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DROPVIZ_")}
    return inherited | changes | {"NO_COLOR": "1"}


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dropviz", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = start(environment, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_an_estimate_says_how_long_it_takes_and_runs_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("run", *TINY, "--arms", "none,dropout", "--seeds", "2", "--out", str(out), "--estimate")
    code, said, err = run(environment, *arguments)
    assert code == 0, err
    first, second = said.splitlines()
    assert first.startswith("about ")
    assert "here; statistics" in first
    assert second.startswith("by arm: none ")
    assert not out.exists()


def test_a_run_writes_its_three_files(environment: dict[str, str], tmp_path: Path) -> None:
    arms = "none,dropout,dropout-8,explicit"
    code, _, err = run(
        environment, "run", *TINY, "--arms", arms, "--seeds", "2", "--out", str(tmp_path / "out")
    )
    assert code == 0, err
    assert "Traceback" not in err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert list(summary["arms"]) == arms.split(",")
    for arm in summary["arms"].values():
        assert {"test/accuracy", "test/loss", "train/loss", "term/explicit"} <= set(arm)
        for metric in arm.values():
            assert set(metric) == {"mean", "se", "n", "values"}
            assert metric["n"] == len(metric["values"]) == 2
    accuracy = summary["arms"]["none"]["test/accuracy"]
    assert accuracy["mean"] == pytest.approx(np.mean(accuracy["values"]))
    assert accuracy["se"] == pytest.approx(np.std(accuracy["values"], ddof=1) / np.sqrt(2))
    wanted = {"metric", "k", "n", "gain", "explicit_share", "implicit_share", "faithfulness", "verdict"}
    assert wanted <= set(summary["decomposition"])
    assert summary["device"] == "cpu"
    assert {"dropviz", "python", "torch", "numpy"} <= set(summary["versions"])
    assert summary["spec"] == json.loads((tmp_path / "out" / "spec.json").read_text())
    points = pd.read_parquet(tmp_path / "out" / "points.parquet")
    assert list(points.columns) == ["arm", "seed", "step", "metric", "value"]
    last = points[(points.arm == "none") & (points.metric == "test/accuracy")].sort_values("seed")
    assert last.value.tolist() == accuracy["values"]
    assert set(points.seed) == {0, 1}


def test_one_seed_has_no_standard_error_and_a_second_run_is_cached(environment, tmp_path: Path) -> None:
    options = ("run", *TINY, "--arms", "none", "--seeds", "1", "--out", str(tmp_path))
    codes = [run(environment, *options) for _ in range(2)]
    assert [code for code, *_ in codes] == [0, 0]
    assert "cached" in codes[1][2]
    assert json.loads((tmp_path / "summary.json").read_text())["arms"]["none"]["test/loss"]["se"] is None


def test_a_spec_file_runs_like_a_preset(environment: dict[str, str], tmp_path: Path) -> None:
    spec = tmp_path / "mine.toml"
    spec.write_text(
        'data = "two-moons"\narms = ["none"]\nseeds = 1\n[model]\nname = "mlp"\nwidths = [8]\n'
        "[train]\nsteps = 20\n[observe]\nstatistics = 0\n"
    )
    code, _, err = run(environment, "run", str(spec), "--out", str(tmp_path / "out"))
    assert code == 0, err


def test_a_failed_job_is_exit_code_1_and_the_rest_is_written(
    environment: dict[str, str], tmp_path: Path
) -> None:
    options = ("--set", "train.learning_rate=1e6", "--set", "model.widths=[128,128]", "--seeds", "1")
    code, _, err = run(environment, "run", *TINY, *options, "--arms", "none", "--out", str(tmp_path))
    assert code == 1
    assert "dropviz: none: The loss of seed 0 was not finite at step" in err
    assert "Traceback" not in err
    assert json.loads((tmp_path / "summary.json").read_text())["arms"] == {}
    assert len(pd.read_parquet(tmp_path / "points.parquet")) > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "--preset", "noisy-digits", "--set", "data=mnits"), "'mnits' is not a data set"),
        (("run", "--preset", "noisy-digits", "--set", "p=1"), "p = 1 is not possible: it must be below 1"),
        (("run", "--preset", "noisy-digits", "--set", "train.steps=0"), "must be at least 1"),
        (("run", "--preset", "noisy-digits", "--set", "train.steps=900000"), "over this server's budget"),
        (("run", "--preset", "noisy-digits", "--set", "trian.steps=9"), "'trian' is not a group of settings"),
        (("run", "--preset", "noisy-digits", "--set", "speed"), "write key=value"),
        (("run", "--preset", "noisy-digits", "--arms", "none,dropuot"), "'dropuot' is not an arm"),
        (("run", "--preset", "nosy-digits"), "did you mean 'noisy-digits'"),
        (("run", "nowhere.toml"), "'nowhere.toml' cannot be read"),
        (("run", "broken.toml"), "'broken.toml' is not valid TOML"),
        (("run", "prose.toml"), "Penn Treebank (words) has to be fetched first"),
        (("run",), "No experiment is given"),
        (("run", "broken.toml", "--preset", "noisy-digits"), "give one of them"),
        (("run", "--preset", "noisy-digits", "--out", "broken.toml"), "cannot be written"),
        (("run", "--preset", "noisy-digits", "--out", "taken"), "summary.json in it is a folder"),
        (("run", "--preset", "noisy-digits", "--set", "=5"), "write key=value"),
        (
            ("run", "--preset", "noisy-digits", "--set", "p=" + "[" * 3000),
            "is not possible: it must be a number",
        ),
        (
            ("run", "--preset", "noisy-digits", "--seeds", "two"),
            "seeds = 'two' is not possible: it must be a whole number",
        ),
        (("run", "--preset", "noisy-digits", "--faster"), "--faster"),
        (("fly",), "fly"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from dropviz.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("DROPVIZ_CACHE", raising=False)
    Path("broken.toml").write_text("p = = 0.5")
    Path("prose.toml").write_text('data = "ptb"\nmodel = "lstm"\n')
    Path("taken/summary.json").mkdir(parents=True)
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.startswith("dropviz: ")
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "data").exists()  # nothing was queued


def test_an_engine_that_trains_elsewhere_is_not_given_the_work(
    environment: dict[str, str], tmp_path: Path
) -> None:
    here = environment | {"DROPVIZ_DATA": str(tmp_path / "data")}
    engine = subprocess.Popen([sys.executable, "-m", "dropviz.engine"], env=here, stderr=subprocess.DEVNULL)
    store = Store.open(tmp_path / "data" / "dropviz.db")
    try:
        wait_until(store.workers)
        code, _, err = run(here | {"DROPVIZ_DEVICE": "cuda"}, "run", *TINY, "--out", str(tmp_path / "out"))
        assert (code, len(err.strip().splitlines())) == (2, 1)
        assert "trains on cpu, not on cuda: stop it, set DROPVIZ_DEVICE=cpu" in err
        assert store.experiments() == []
    finally:
        engine.terminate()
        engine.wait(20)
        store.close()


def test_a_foreign_database_is_bad_input(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "dropviz.db").write_text("not a database, but a note " * 50)
    here = environment | {"DROPVIZ_DATA": str(tmp_path)}
    code, _, err = run(here, "run", *TINY, "--out", str(tmp_path / "out"))
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert "not a readable database: move it away" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_with_130(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    store = Store.open(Path(environment["DROPVIZ_DATA"]) / "dropviz.db")
    steps = ("--set", "train.steps=90000", "--arms", "none", "--seeds", "1", "--fresh")
    process = start(environment, "run", *TINY, *steps, "--out", str(tmp_path))
    deadline = time.monotonic() + 60
    while not any(job.state == "running" and job.pid for job in store.live_jobs()):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert store.live_jobs() == []
    store.close()


def test_presets_are_listed(environment: dict[str, str]) -> None:
    code, out, _ = run(environment, "presets")
    assert code == 0
    assert out.startswith("noisy-digits: ")


def test_serving_without_the_page_or_a_free_port_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "__file__", str(tmp_path / "dropviz" / "commands" / "serve.py"))
    with pytest.raises(ValueError, match=r"app\.py is not there"):
        serve.find_app()
    (tmp_path / "app.py").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ValueError, match="choose another with --port"):
            serve.serve("127.0.0.1", taken.getsockname()[1])


SERVE = """
import sys
from pathlib import Path
from dropviz.commands import serve
serve.find_app = lambda: Path(sys.argv[1])
sys.exit(serve.serve("127.0.0.1", int(sys.argv[2])))
"""


def processes_under(pid: int) -> dict[int, str]:
    """Process id → command line, of all that descend from a process."""
    found: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if status[0] != "Z":
            found[int(entry.name)] = (int(status[1]), command)
    family = {pid}
    while grown := {child for child, (parent, _) in found.items() if parent in family} - family:
        family |= grown
    return {member: found[member][1] for member in family - {pid} if member in found}


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def of_page(pid: int) -> list[int]:
    return [member for member, command in processes_under(pid).items() if "streamlit" in command]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_serving_restarts_what_dies_and_leaves_nothing_behind(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    script = tmp_path / "page.py"
    script.write_text("import streamlit as st\nst.write('hello')\n")
    port = free_port()
    here = environment | {"DROPVIZ_DATA": str(tmp_path / "data")}
    command = [sys.executable, "-c", SERVE, str(script), str(port)]
    with subprocess.Popen(command, env=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        wait_until(lambda: answers(port))
        (page,) = of_page(server.pid)
        os.kill(page, signal.SIGKILL)
        wait_until(lambda: of_page(server.pid) not in ([], [page]) and answers(port))
        everybody = processes_under(server.pid)
        assert any("dropviz.engine" in command for command in everybody.values())
        assert any("forkserver" in command for command in everybody.values())
        server.send_signal(number)
        assert server.wait(30) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    left = [Path(f"/proc/{pid}/stat") for pid in everybody]

    def gone(path: Path) -> bool:
        try:
            return path.read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(lambda: all(gone(path) for path in left), 10)
