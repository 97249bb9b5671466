"""What else an experiment may choose, as a script: optimizers, schedules, clipping, data; and what is refused, exactly."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from dropviz import datasets, models
from dropviz.choices import SpecError
from dropviz.experiment import ExperimentSpec
from dropviz.scripts import script_of
from dropviz.scripts.data import RECIPES
from dropviz.scripts.texts import CHAINS
from dropviz.strategies import examples
from tests.computing.scripted import PRINTED, ROUNDED, differences, experiment

SMALL = {
    "gaussian-mixture": ("data.dimension=9",),
    "teacher-softmax": ("data.dimension=12",),
    "mnist-1d": ("data.train_size=60",),
    "diabetes": ("data.target_noise=0.5",),
}
TEXT = (
    "model.width=8",
    "model.embedding=5",
    "language.segment=5",
    "data.train_tokens=1000",
    "data.held_out_tokens=127",
    "train.batch_size=4",
)
FORM = 'line-length = 110\ntarget-version = "py311"\n[lint]\nselect = ["F", "E4", "E7", "E9", "W", "B", "UP", "I", "C4"]\n'


@pytest.mark.parametrize(
    "choices",
    [
        ("train.optimizer=adam", "train.learning_rate=0.01", "train.weight_decay=0.1"),
        ("train.optimizer=adamw", "train.learning_rate=0.01", "train.schedule=cosine", "train.warmup=4"),
        ("train.momentum=0.9", "train.weight_decay=0.01", "train.schedule=linear"),
        ("train.warmup=5", "train.clip=0.3"),
        ("train.clip=0.3", "train.clip_noise=false"),
        ("train.keep_best=true", "train.learning_rate=1.5", "observe.evaluations=12"),
        ("train.patience=2", "train.learning_rate=2.0", "observe.evaluations=12"),
        ("train.patience=2", "train.keep_best=true", "train.learning_rate=2.0", "observe.evaluations=12"),
        ("p=0.99999",),
        ("p=0",),
    ],
)
def test_every_choice_of_training_has_the_numbers_of_the_run(
    choices: tuple[str, ...], tmp_path: Path
) -> None:
    found = differences(experiment(*choices), "dropout-2+mask-noise", tmp_path)
    assert max(found.values()) < PRINTED, found


@pytest.mark.parametrize("name", [*RECIPES, *CHAINS])
def test_every_set_that_a_script_makes_is_the_same(name: str, tmp_path: Path) -> None:
    text = (f"data={name}", "model=lstm", *TEXT) if name in CHAINS else (f"data={name}",)
    found = differences(experiment(*text, *SMALL.get(name, ()), "train.learning_rate=0.01"), "none", tmp_path)
    assert max(found.values()) < ROUNDED, found


def test_other_data_lie_beside_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_FILES", str(tmp_path))
    rows = "\n".join(f"{i % 7},{i * i % 11},{'ab'[i % 3 == 0]}" for i in range(60))
    (tmp_path / "mine.csv").write_text(f"x,y,kind\n{rows}\n")
    table = experiment("data={name='csv', file='mine.csv'}", "train.learning_rate=0.01")
    short = ("data.vocabulary=50", "language.segment=200", "train.steps=2", "observe.evaluations=1")
    prose = experiment("data=python-reference", "model=lstm", *TEXT[:2], *short)
    for spec in (table, prose):
        script = script_of(spec, "dropout", 3)
        assert list(script.files) == ["data.npz"]
        assert "data.npz must lie beside this file" in " ".join(script.text.split())
        assert max(differences(spec, "dropout", tmp_path).values()) < PRINTED


def fitting(model: str) -> str:
    text = models.registry.read(model).unfit(datasets.registry.read("digits").task)
    return "markov" if text else "digits"


@pytest.fixture(scope="module")
def every_kind() -> dict[tuple[str, str, str], str]:
    """Model, arm and estimator → the script, or the sentence that refuses it."""
    found, estimators = {}, ("auto", "exact", "root-hessian", "forward", "sampled-label")
    for model, estimator in product(models.registry.members, estimators):
        surrogate = {"estimator": estimator, "samples": 2}
        spec = ExperimentSpec.from_table({"data": fitting(model), "model": model, "surrogate": surrogate})
        for arm in examples():
            try:
                found[model, arm, estimator] = script_of(spec, arm, 0).text
            except SpecError as error:
                found[model, arm, estimator] = f"refused: {error}"
    return found


def test_what_is_refused_is_this_and_no_more(every_kind: dict[tuple[str, str, str], str]) -> None:
    refused = {case: text for case, text in every_kind.items() if text.startswith("refused")}
    expected = {(name, "explicit-identity", "sampled-label") for name in models.registry.members}
    assert set(refused) == expected
    assert all("no labels to draw" in sentence for sentence in refused.values())


def test_scripts_are_in_form_and_have_nothing_that_they_do_not_use(
    every_kind: dict[tuple[str, str, str], str], tmp_path: Path
) -> None:
    (tmp_path / "ruff.toml").write_text(FORM)
    for number, text in enumerate(text for text in every_kind.values() if not text.startswith("refused")):
        assert "import dropviz" not in text
        assert max(map(len, text.splitlines())) < 120
        (tmp_path / f"script_{number}.py").write_text(text)
    for check in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *check, "--no-cache", str(tmp_path)]
        said = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert said.returncode == 0, said.stdout[-3000:]


def test_an_arm_that_cannot_train_is_refused_as_by_an_experiment() -> None:
    with pytest.raises(SpecError, match="explicit-argmax cannot train on diabetes: a number"):
        script_of(experiment("data=diabetes"), "explicit-argmax", 0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (("data=markov", "model=lstm", "language.random_lengths=true"), "set it to false"),
        (("data=ptb", "model=lstm"), "has to be fetched first"),
        (("data=csv", "data.file='none.csv'"), "none.csv"),
    ],
)
def test_what_else_cannot_be_written_says_what_can(settings: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        script_of(experiment(*settings), "dropout", 0)
