"""A script prints the curve that the run records: every arm, every estimator, in processes that have no dropviz."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dropviz.choices import SpecError
from dropviz.scripts import script_of
from dropviz.strategies import examples
from tests.computing.scripted import difference, differences, experiment, of_process, of_run

PRINTED = 1e-8  # nine digits are printed
ESTIMATORS = ("auto", "exact", "root-hessian", "forward", "sampled-label")


@pytest.mark.parametrize("arm", examples())
def test_every_arm_has_the_numbers_of_the_run_to_the_last_digit(arm: str, tmp_path: Path) -> None:
    found = differences(experiment(), arm, tmp_path)
    assert {"train/objective", "validation/loss", "validation/accuracy", "test/loss"} <= set(found)
    assert max(found.values()) < PRINTED, found


@pytest.mark.parametrize("arm", ["dropout", "explicit+implicit"])
def test_a_process_without_dropviz_prints_the_same(arm: str, tmp_path: Path) -> None:
    spec = experiment("model.dropout_at=['input=0.2','hidden']", "train.steps=30")
    printed, run = of_process(script_of(spec, arm, 5), tmp_path), of_run(spec, arm, 5)
    assert max(difference(numbers, run[name]) for name, numbers in printed.items()) < PRINTED


@pytest.mark.parametrize("hessian", ["differentiated", "constant"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("arm", ["explicit", "explicit+implicit", "explicit-identity"])
def test_every_estimator_has_the_numbers_of_the_run(
    arm: str, estimator: str, hessian: str, tmp_path: Path
) -> None:
    spec = experiment(f"surrogate.estimator={estimator}", f"surrogate.hessian={hessian}")
    if (arm, estimator) == ("explicit-identity", "sampled-label"):
        with pytest.raises(SpecError, match="no labels to draw"):
            script_of(spec, arm, 0)
        return
    found = differences(spec, arm, tmp_path)
    assert max(found.values()) < PRINTED, found


def test_writing_a_script_needs_no_torch() -> None:
    code = "import sys; from dropviz import preset; from dropviz.scripts import script_of\n"
    code += "script_of(preset('noisy-digits'), 'explicit+implicit', 0); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
