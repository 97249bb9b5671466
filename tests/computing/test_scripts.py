"""A script prints the curve that the run records: every arm, every estimator, in processes that have no dropviz."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dropviz.scripts import script_of
from dropviz.strategies import examples
from tests.computing.scripted import PRINTED, difference, differences, experiment, of_process, of_run


@pytest.mark.parametrize("arm", examples())
def test_every_arm_has_the_numbers_of_the_run_to_the_last_digit(arm: str, tmp_path: Path) -> None:
    found = differences(experiment(), arm, tmp_path)
    assert {"train/objective", "validation/loss", "validation/accuracy", "test/loss"} <= set(found)
    assert max(found.values()) < PRINTED, found


def test_a_process_without_dropviz_prints_the_same(tmp_path: Path) -> None:
    spec = experiment("model.dropout_at=['input=0.2','hidden']", "train.steps=60")
    arms = ("dropout", "explicit+implicit")
    printed = of_process([script_of(spec, arm, 5) for arm in arms], tmp_path)
    for arm, curves in zip(arms, printed, strict=True):
        run = of_run(spec, arm, 5)
        assert max(difference(numbers, run[name]) for name, numbers in curves.items()) < PRINTED


@pytest.mark.parametrize("hessian", ["differentiated", "constant"])
@pytest.mark.parametrize("estimator", ["auto", "exact", "root-hessian", "forward", "sampled-label"])
def test_every_estimator_has_the_numbers_of_the_run(estimator: str, hessian: str, tmp_path: Path) -> None:
    choices = (f"surrogate.estimator={estimator}", f"surrogate.hessian={hessian}", "surrogate.samples=2")
    found = differences(experiment(*choices, "surrogate.explicit=1.5"), "explicit+implicit", tmp_path)
    assert max(found.values()) < PRINTED, found


@pytest.mark.parametrize("estimator", ["exact", "root-hessian", "forward"])
def test_the_identity_hessian_has_every_estimator_too(estimator: str, tmp_path: Path) -> None:
    found = differences(experiment(f"surrogate.estimator={estimator}"), "explicit-identity", tmp_path)
    assert max(found.values()) < PRINTED, found


@pytest.mark.parametrize("hessian", ["differentiated", "constant"])
def test_both_terms_may_come_from_one_tangent(hessian: str, tmp_path: Path) -> None:
    spec = experiment("surrogate.shared_tangent=true", f"surrogate.hessian={hessian}")
    assert max(differences(spec, "explicit+implicit", tmp_path).values()) < PRINTED


@pytest.mark.parametrize(
    "strengths", [("surrogate.explicit=0",), ("surrogate.explicit=0", "surrogate.implicit=0")]
)
def test_a_term_without_strength_is_not_in_the_script(strengths: tuple[str, ...], tmp_path: Path) -> None:
    spec = experiment(*strengths)
    text = script_of(spec, "explicit+implicit", 3).text
    assert "LAMBDA" not in text
    assert ("MU" in text) == (len(strengths) == 1)
    assert max(differences(spec, "explicit+implicit", tmp_path).values()) < PRINTED


def test_writing_a_script_imports_no_torch() -> None:
    code = "import sys; from dropviz import preset; from dropviz.scripts import script_of\n"
    code += "script_of(preset('noisy-digits'), 'explicit+implicit', 0); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
