"""Arms that switch, as scripts: each step by the function of its arm."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropviz.choices import SpecError
from dropviz.scripts import script_of
from tests.computing.scripted import PRINTED, ROUNDED, differences, experiment
from tests.computing.test_scripts_models import TEXT


@pytest.mark.parametrize(
    "arm",
    ["dropout@5:explicit+implicit", "none@4:dropout-3+mask-noise@8:none", "explicit@6:linearized"],
)
def test_a_switched_arm_has_the_numbers_of_the_run(arm: str, tmp_path: Path) -> None:
    found = differences(experiment(), arm, tmp_path)
    assert max(found.values()) < PRINTED, found


def test_a_step_asks_for_its_own_arm() -> None:
    text = script_of(experiment(), "dropout@5:explicit", 3).text
    assert "    if step < 5:\n        return objective_of_dropout(w, x, y, step)\n" in text
    assert "    return objective_of_explicit(w, x, y, step)\n" in text


def test_of_a_text_the_state_runs_on(tmp_path: Path) -> None:
    small = ("model.width=9", "model.embedding=6", "model.layers=1")
    spec = experiment("data=markov", "model=lstm", *TEXT, *small)
    assert max(differences(spec, "dropout@5:explicit", tmp_path).values()) < ROUNDED
    with pytest.raises(SpecError, match="choose one mask"):
        script_of(spec, "dropout-3@5:explicit", 0)


@pytest.mark.parametrize(
    ("arm", "settings", "sentence"),
    [
        ("none@5:implicit", ("train.clip=1", "train.clip_noise=false"), "set it to true"),
        ("explicit@5:explicit-identity", (), "different Hessians"),
    ],
)
def test_what_one_script_cannot_hold_is_refused(arm: str, settings: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        script_of(experiment(*settings), arm, 0)
