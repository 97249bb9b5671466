"""What the documents say is tried: the tree, the commands, the examples and the recipes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of one language in a document."""
    return [body for found, body in FENCE.findall((ROOT / document).read_text("utf-8")) if found == language]


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Run a command with the data directory in ``folder``; its output."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DROPVIZ_")}
    changes = {"DROPVIZ_DATA": str(folder / "data"), "DROPVIZ_DEVICE": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=inherited | changes | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_opens_with_the_two_commands_and_a_screenshot_that_is_there() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert (
        text.index("make run") < text.index("make test") < text.index("![") < text.index("## What is where")
    )
    for picture in re.findall(r"!\[.+?\]\((.+?)\)", text):
        assert (ROOT / picture).is_file()


def test_the_readmes_tree_names_every_part_of_the_house() -> None:
    (tree,) = blocks("README.md", "text")
    named = {
        word.rstrip("/")
        for line in tree.splitlines()
        for word in line[:46].split()
        if re.search(r"[/.]\w*$", word)
    }
    there = {path.name for path in (ROOT / "dropviz").iterdir() if not path.name.startswith("_")}
    tops = {"app.py", "pages", "dropviz", "tests", "benchmarks"}
    assert there | tops <= named
    for word in named - {"docs/decisions"}:
        assert (ROOT / word).exists() or (ROOT / "dropviz" / word).exists(), f"{word} is in the tree only"


def test_every_command_of_make_that_a_document_names_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        named = re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / document).read_text("utf-8"), re.MULTILINE)
        assert named
        assert set(named) <= targets


def test_the_readmes_dropviz_commands_run(tmp_path: Path) -> None:
    lines = [
        line for block in blocks("README.md", "console") for line in block.splitlines() if "dropviz " in line
    ]
    commands = [
        shlex.split(line)
        for line in lines
        if line.startswith(".venv/bin/dropviz") and " serve" not in line and "ptb" not in line
    ]
    assert len(commands) >= 4
    for command in commands:
        arguments = [word.replace("/tmp/dropviz-readme", str(tmp_path / "out")) for word in command[1:]]
        run([sys.executable, "-m", "dropviz", *arguments], tmp_path)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["decomposition"]["n"] == 3


def test_the_readmes_examples_run(tmp_path: Path) -> None:
    example, own_model = blocks("README.md", "python")
    assert "('2', 0.1)" in run([sys.executable, "-c", own_model], tmp_path)
    lines = run([sys.executable, "-c", example], tmp_path).splitlines()
    assert [line.split()[0] for line in lines] == [str(step) for step in range(0, 41, 2)]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the files of CONTRIBUTING's recipes in it."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "dropviz", folder / "dropviz", ignore=shutil.ignore_patterns("__pycache__"))
    for recipe in blocks("CONTRIBUTING.md", "python"):
        name, _, text = recipe.partition("\n")
        (folder / name.removeprefix("# ")).write_text(text, encoding="utf-8")
    return folder


def test_the_recipes_give_a_data_set_and_an_arm_that_train(extended: Path) -> None:
    settings = (
        "data=two-blobs",
        "train.steps=20",
        "model.widths=[8]",
        "seeds=2",
        "arms=confidence-penalty,none",
    )
    arguments = [part for setting in settings[:4] for part in ("--set", setting)]
    command = [
        sys.executable,
        "-m",
        "dropviz",
        "run",
        "--preset",
        "classroom",
        "--arms",
        "confidence-penalty,none",
    ]
    run([*command, *arguments, "--out", "out"], extended, PYTHONPATH=str(extended))
    summary = json.loads((extended / "out" / "summary.json").read_text())
    assert summary["spec"]["data"]["name"] == "two-blobs"
    assert set(summary["arms"]) == {"confidence-penalty", "none"}


def test_the_recipes_follow_the_house_style(extended: Path) -> None:
    files = ["dropviz/datasets/two_blobs.py", "dropviz/strategies/confidence_penalty.py"]
    ruff = Path(sys.executable).with_name("ruff")
    run([str(ruff), "check", "--config", str(ROOT / "pyproject.toml"), *files], extended)


def test_the_service_is_one_that_systemd_understands(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    (unit,) = blocks("docs/operating.md", "ini")
    own = Path(sys.executable).parent
    changes = {
        "/opt/dropviz/.venv/bin": str(own),
        "WorkingDirectory=/opt/dropviz": f"WorkingDirectory={ROOT}",
    }
    for old, new in changes.items():
        assert old in unit
        unit = unit.replace(old, new)
    path = tmp_path / "dropviz.service"
    path.write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).splitlines()  # also of other units of this machine
    assert [line for line in said if "dropviz" in line] == []


def test_the_recipe_of_a_claim_is_one() -> None:
    from dropviz.replication import Row

    (recipe,) = [
        one for one in blocks("CONTRIBUTING.md", "toml") if one.startswith("# dropviz/replication/rows/")
    ]
    row = Row.from_table(tomllib.loads(recipe) | {"key": "gaussian"})
    assert all({"gaussian", "dropout"} <= set(case.labels) for case in row.cases("small"))
