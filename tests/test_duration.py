"""From measured costs to the time of an experiment: counts times costs, placed on slots."""

from __future__ import annotations

import pytest

from dropviz.duration import (
    HANDOVER_SECONDS,
    Costs,
    Duration,
    cost_key,
    duration,
    guessed,
    passes,
    refresh_seconds,
    shown_seconds,
    stacked_seeds,
    told,
)
from dropviz.experiment import ExperimentSpec, preset

COSTS = {
    "none": Costs(once=0.5, step=0.01, evaluation=0.1, picture=7.0, live=1.0, refresh=10.0),
    "dropout": Costs(once=0.5, step=0.02, evaluation=0.1, picture=7.0, live=1.0, refresh=10.0),
}
ARMS = 'arms=["none", "dropout"]'


@pytest.fixture
def spec() -> ExperimentSpec:
    """100 steps, 5 points, 3 of them with live statistics."""
    settings = [ARMS, "train.steps=100", "observe.evaluations=4", "observe.statistics=3"]
    return preset("noisy-digits").with_settings(settings)


NONE, DROPOUT = 0.5 + 1 + 0.5 + 3 + HANDOVER_SECONDS, 0.5 + 2 + 0.5 + 3 + HANDOVER_SECONDS


def test_on_one_slot_jobs_come_one_after_the_other(spec: ExperimentSpec) -> None:
    found = duration(spec, COSTS, 1)
    assert found.arms == pytest.approx({"none": NONE, "dropout": DROPOUT})
    assert found.seconds == pytest.approx(NONE + DROPOUT)
    assert found.statistics == pytest.approx(6 / (NONE + DROPOUT))


def test_a_job_goes_where_a_slot_is_free_first(spec: ExperimentSpec) -> None:
    assert duration(spec, COSTS, 2).seconds == pytest.approx(DROPOUT)
    many = spec.with_settings(["seeds=20"])  # two blocks an arm
    assert duration(many, COSTS, 2).seconds == pytest.approx(NONE + DROPOUT)
    assert duration(many, COSTS, 3).seconds == pytest.approx(max(NONE + DROPOUT, DROPOUT))
    assert duration(many, COSTS, 4).seconds == pytest.approx(DROPOUT)


def test_refreshes_and_pictures_are_counted(spec: ExperimentSpec) -> None:
    refreshed = duration(spec.with_settings(["observe.refreshes=2"]), COSTS, 2)
    assert refreshed.arms["none"] == pytest.approx(NONE + 20)
    pictured = duration(spec.with_settings(["data=two-moons"]), COSTS, 2)
    assert pictured.arms["none"] == pytest.approx(NONE + 5 * 7)


def test_a_refresh_on_request_is_of_all_blocks_of_an_arm(spec: ExperimentSpec) -> None:
    many = spec.with_settings(["seeds=40"])
    assert refresh_seconds(spec, "none", 2.0, 1) == pytest.approx(2 + HANDOVER_SECONDS)
    assert refresh_seconds(many, "none", 2.0, 1) == pytest.approx(3 * (2 + HANDOVER_SECONDS))
    assert refresh_seconds(many, "none", 2.0, 2) == pytest.approx(2 * (2 + HANDOVER_SECONDS))


@pytest.mark.parametrize(
    "setting",
    [
        "train.steps=7",
        "train.learning_rate=0.3",
        "train.schedule=cosine",
        "observe.evaluations=9",
        "first_seed=5",
    ],
)
def test_how_often_something_is_done_is_no_part_of_the_key(spec: ExperimentSpec, setting: str) -> None:
    assert cost_key(spec.with_settings([setting])) == cost_key(spec)


@pytest.mark.parametrize(
    "setting",
    [
        "seeds=9",
        "p=0.3",
        'arms=["none"]',
        "train.batch_size=32",
        "observe.probe=128",
        "observe.refreshes=1",
        "model.widths=[9]",
    ],
)
def test_what_decides_a_cost_is_part_of_the_key(spec: ExperimentSpec, setting: str) -> None:
    assert cost_key(spec.with_settings([setting])) != cost_key(spec)


def test_seeds_beyond_a_full_block_share_its_cost(spec: ExperimentSpec) -> None:
    assert [stacked_seeds(spec.with_settings([f"seeds={n}"]), "none") for n in (8, 16, 17, 20, 64)] == [
        8,
        16,
        9,
        10,
        16,
    ]
    assert cost_key(spec.with_settings(["seeds=32"])) == cost_key(spec.with_settings(["seeds=64"]))


def test_device_and_threads_are_part_of_the_key(
    spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = set()
    for device in ("cpu", "cuda:0"):
        monkeypatch.setenv("DROPVIZ_DEVICE", device)
        keys.add(cost_key(spec))
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1, "1 s"),
        (6.4, "6 s"),
        (23.0, "25 s"),
        (95.0, "95 s"),
        (99.0, "2 min"),
        (3599.0, "60 min"),
        (5401.0, "1.5 h"),
    ],
)
def test_a_time_is_shown_as_exactly_as_it_is_known(seconds: float, text: str) -> None:
    assert shown_seconds(seconds) == text


def test_the_line_names_the_share_of_statistics_where_there_are_any() -> None:
    found = Duration(seconds=25, arms={}, statistics=0.06)
    assert told(found) == "about 25 s here; statistics 6 % of it"
    assert (
        told(Duration(seconds=25, arms={}, statistics=0.001)) == "about 25 s here; statistics under 1 % of it"
    )
    assert told(Duration(seconds=25, arms={}, statistics=0.0)) == "about 25 s here"


@pytest.mark.parametrize(
    "more",
    [
        "train.steps=400",
        "seeds=64",
        "model.widths=[1024, 1024]",
        'arms=["none", "dropout-8"]',
        "train.batch_size=512",
    ],
)
def test_a_rough_time_grows_with_what_there_is_to_do(spec: ExperimentSpec, more: str) -> None:
    def seconds(one: ExperimentSpec) -> float:
        return duration(one, {arm: Costs.rough(one, arm) for arm in one.arms}, 1).seconds

    assert seconds(spec.with_settings([more])) > 1.02 * seconds(spec)
    assert guessed(spec, 1) == f"roughly {shown_seconds(seconds(spec))}"


def test_a_step_is_so_many_passes(spec: ExperimentSpec) -> None:
    assert [passes(spec, arm) for arm in ("none", "dropout", "dropout-8")] == [1, 1, 8]
    assert passes(spec, "explicit") == 10  # the exact estimator takes one an output
    assert passes(spec.with_settings(["surrogate.estimator=root-hessian"]), "explicit") == 3


def test_costs_come_back_from_their_values() -> None:
    assert Costs.of_values(COSTS["none"].to_values()) == COSTS["none"]
