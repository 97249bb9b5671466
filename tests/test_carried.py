"""The results that come with the program are what the program computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dropviz.analysis import decompose
from dropviz.analysis.headline import headline
from dropviz.commands.carried import settings
from dropviz.experiment import ExperimentSpec, preset, refresh_steps
from dropviz.training import Block, Record

RESULTS = Path(__file__).resolve().parents[1] / "dropviz" / "results"
CARRIED = sorted(file.stem for file in RESULTS.glob("*.json"))
EXPECTED = {"none": 0.69, "dropout": 0.85, "dropout-8": 0.84, "dropout-8+mask-noise": 0.85, "explicit": 0.82}


def carried(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def by_seed(table: dict[str, Any]) -> dict[str, dict[int, float]]:
    """Arm → seed → test accuracy."""
    ladder = table["payload"]["ladder"]
    return {arm: dict(enumerate(entry["values"])) for arm, entry in ladder.items()}


@pytest.mark.parametrize("name", CARRIED)
def test_a_carried_result_is_its_preset_over_many_seeds(name: str) -> None:
    table = carried(name)
    spec = ExperimentSpec.from_table(table["spec"])
    assert spec.seeds >= 32
    assert spec == preset(name).with_settings(settings(spec.seeds))
    assert {len(values) for values in by_seed(table).values()} == {spec.seeds}
    assert table["payload"]["ladder_title"] == "test accuracy"


@pytest.mark.parametrize("name", CARRIED)
def test_its_sentence_is_what_its_numbers_say(name: str) -> None:
    table = carried(name)
    found = headline(decompose(by_seed(table), "test/accuracy"), ExperimentSpec.from_table(table["spec"]))
    assert "".join(part["text"] for part in table["payload"]["headline"]["parts"]) == found.text
    assert table["payload"]["headline"]["note"] == found.note


@pytest.mark.parametrize("arm", ["none", "dropout-8", "explicit+implicit"])
def test_a_spot_check_computes_the_same_accuracies(arm: str) -> None:
    """Elsewhere a processor may round otherwise, and 1,500 steps amplify that; seeds differ by ten times as much."""
    name, seeds = ("noisy-digits" if arm == "none" else "classroom"), (5, 40)
    block = Block(preset(name), arm, seeds)
    records: list[object] = []
    while not block.finished:
        records += block.advance()
    (last,) = [r.values for r in records if isinstance(r, Record) and r.name == "test/accuracy"]
    np.testing.assert_allclose(last, [by_seed(carried(name))[arm][seed] for seed in seeds], atol=0.02)


def test_noisy_digits_shows_what_it_is_meant_to_show() -> None:
    mean = {
        arm: float(np.mean(list(values.values()))) for arm, values in by_seed(carried("noisy-digits")).items()
    }
    for arm, expected in EXPECTED.items():
        assert mean[arm] == pytest.approx(expected, abs=0.05)
    assert 0 < mean["dropout"] - mean["dropout-8"] <= 0.02
    assert mean["dropout-8+mask-noise"] == pytest.approx(mean["dropout"], abs=0.02)
    assert 0.80 <= mean["explicit"] <= 0.84


def test_the_classroom_shows_the_same_in_little() -> None:
    found = decompose(by_seed(carried("classroom")), "test/accuracy")
    assert found.verdict == "dropout gains"
    assert found.explicit_share is not None
    assert found.explicit_share.estimate > 0.8
    assert found.mask_noise is not None
    assert found.mask_noise.equivalent


@pytest.mark.parametrize("name", CARRIED)
def test_a_carried_result_has_the_curvature_at_every_refresh(name: str) -> None:
    table = carried(name)
    steps = refresh_steps(ExperimentSpec.from_table(table["spec"]))
    arms = set(table["payload"]["arms"])
    for kind in ("density", "slice"):
        assert {key for key in table["arrays"] if key.startswith(kind)} == {
            f"{kind}/{step}" for step in steps
        }
    assert all(found.keys() == arms for found in table["arrays"].values())
    assert len(table["payload"]["arrays"]) == 2 * len(steps) * len(arms)


def test_a_carried_result_is_small() -> None:
    assert max(path.stat().st_size for path in RESULTS.iterdir()) < 600_000
