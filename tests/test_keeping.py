"""``dropviz export`` and ``dropviz import`` as a person runs them: from one data directory to another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dropviz.store import Store

ROOT = Path(__file__).resolve().parents[1]
TINY = ["--set", "train.steps=20", "--set", "model.widths=8", "--set", "observe.evaluations=2"]
TINY += ["--set", "observe.statistics=1", "--arms", "none,dropout", "--seeds", "3", "--preset", "classroom"]


def dropviz(data: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of the command in a data directory."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DROPVIZ_")}
    changes = {
        "DROPVIZ_DATA": str(data),
        "DROPVIZ_DEVICE": "cpu",
        "DROPVIZ_SLOTS": "1",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "dropviz", *arguments],
        env=inherited | changes | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=170,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A data directory, the run in it, and the folder that `dropviz run` wrote."""
    data, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("out")
    code, _, err = dropviz(data, "run", *TINY, "--out", str(out))
    assert code == 0, err
    store = Store.open(data / "dropviz.db")
    (run,) = store.experiments()
    store.close()
    return data, run.id, out


def test_every_format_is_written_and_says_where(trained: tuple[Path, str, Path], tmp_path: Path) -> None:
    data, run, ran = trained
    link = f"http://localhost:8501/lab?run={run}&embed=true"
    formats = "csv,parquet,json,html,tensorboard,safetensors,zip"
    code, said, err = dropviz(data, "export", link, "--format", formats, "--out", str(tmp_path))
    assert code == 0, err
    written = [Path(line.removeprefix("Written: ")) for line in said.splitlines()]
    assert len(written) == 7
    assert all(path.exists() and path.is_relative_to(tmp_path) for path in written)
    assert json.loads((tmp_path / "summary.json").read_text()) == json.loads(
        (ran / "summary.json").read_text()
    )
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "points.parquet"), pd.read_parquet(ran / "points.parquet")
    )
    assert len(list((tmp_path / "tensorboard").glob("dropout/seed-*/*tfevents*"))) == 3
    assert (tmp_path / "weights" / "dropout" / "step-20.safetensors").is_file()


def test_a_zip_is_a_run_in_another_directory_with_the_same_files(
    trained: tuple[Path, str, Path], tmp_path: Path
) -> None:
    data, run, ran = trained
    assert dropviz(data, "export", run, "--out", str(tmp_path))[0] == 0
    (exported,) = tmp_path.glob("*.zip")
    code, said, err = dropviz(tmp_path / "there", "import", str(exported))
    assert code == 0, err
    there = said.rpartition("run=")[2].strip()
    assert (
        dropviz(
            tmp_path / "there", "export", there, "--format", "json,parquet", "--out", str(tmp_path / "again")
        )[0]
        == 0
    )
    for name in ("summary.json", "points.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (ran / name).read_bytes()
    code, _, err = dropviz(
        tmp_path / "there", "export", there, "--format", "safetensors", "--out", str(tmp_path)
    )
    assert code == 2
    assert "No weights of this run are kept here" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("export", "zzz"), "'zzz' is not a run: give its id, or the link to it"),
        (("export", "0" * 32), "There is no experiment"),
        (("export", "0" * 32, "--format", "csx"), "'csx' is not a format"),
        (("import", "nowhere.zip"), "'nowhere.zip' cannot be read (No such file or directory)"),
        (("import", str(ROOT / "README.md")), "The file is not a zip"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    code, _, err = dropviz(tmp_path / "data", *arguments)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1
