"""The files of an experiment, from a store whose points are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dropviz import export
from dropviz.analysis import decompose
from dropviz.experiment import ExperimentSpec
from dropviz.store import Experiment, Store
from tests.export.played import STEPS, accuracy, finished, run_next

COLUMNS = ["arm", "seed", "step", "metric", "value"]


def written(store: Store, experiment: Experiment, folder: Path) -> tuple[dict, pd.DataFrame]:
    export.check_writable(folder)
    export.write(store, experiment, folder)
    return json.loads((folder / "summary.json").read_text()), pd.read_parquet(folder / "points.parquet")


def test_series_come_by_arm_in_the_specs_order_then_by_seed(store: Store, spec: ExperimentSpec) -> None:
    series = export.series_of(store, finished(store, spec))
    pairs = list(dict.fromkeys((one.arm, one.seed) for one in series))
    assert pairs == [(arm, seed) for arm in spec.arms for seed in (4, 5, 6)]
    assert [one.metric for one in series[:3]] == ["train/loss", "validation/accuracy", "test/accuracy"]


def test_a_series_holds_its_own_seeds_values(store: Store, spec: ExperimentSpec) -> None:
    for one in export.series_of(store, finished(store, spec)):
        steps = STEPS if one.metric != "test/accuracy" else STEPS[-1:]
        assert one.steps == steps
        assert one.values == tuple(accuracy(one.arm, one.seed, step) for step in steps)


def test_series_of_joined_jobs_are_put_together_by_seed(store: Store, spec: ExperimentSpec) -> None:
    """Seeds 4 to 6 were computed for somebody else, 2 and 3 are new: two jobs an arm, one table."""
    finished(store, spec)
    wider = finished(store, spec.with_settings(["first_seed=2", "seeds=5"]))
    assert len(wider.jobs) == 6
    values = export.last_values(export.series_of(store, wider))["none"]["test/accuracy"]
    assert values == {seed: accuracy("none", seed, 40) for seed in range(2, 7)}


def test_the_summary_says_mean_standard_error_count_and_values_by_seed(
    store: Store, spec: ExperimentSpec, tmp_path: Path
) -> None:
    summary, _ = written(store, finished(store, spec), tmp_path / "out")
    assert list(summary["arms"]) == list(spec.arms)
    for arm in spec.arms:
        values = np.array([accuracy(arm, seed, 40) for seed in (4, 5, 6)])
        found = summary["arms"][arm]["test/accuracy"]
        assert found["values"] == values.tolist()
        assert found["mean"] == pytest.approx(values.mean())
        assert found["se"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
        assert found["n"] == 3


def test_values_stand_in_the_order_of_the_seeds_however_they_came() -> None:
    assert export.describe({9: 0.3, 2: 0.1, 10: 0.2})["values"] == [0.1, 0.3, 0.2]


def test_one_seed_has_no_standard_error() -> None:
    assert export.describe({0: 0.5}) == {"mean": 0.5, "se": None, "n": 1, "values": [0.5]}


def test_the_summary_holds_the_decomposition_of_the_test_split(
    store: Store, spec: ExperimentSpec, tmp_path: Path
) -> None:
    experiment = finished(store, spec)
    summary, _ = written(store, experiment, tmp_path / "out")
    values = {arm: {seed: accuracy(arm, seed, 40) for seed in (4, 5, 6)} for arm in spec.arms}
    assert summary["decomposition"] == decompose(values, "test/accuracy").to_table()
    assert summary["decomposition"]["explicit_share"]["estimate"] == pytest.approx(0.8)


def test_a_text_is_taken_apart_by_its_loss(tmp_path: Path, store: Store) -> None:
    spec = ExperimentSpec.from_table({"data": "markov", "model": "lstm"})
    finished = {
        arm: {"test/loss": {seed: 4 - gained - 0.01 * seed for seed in range(3)}, "test/perplexity": {0: 1.0}}
        for arm, gained in {"none": 0.0, "dropout": 0.2, "dropout-8": 0.1}.items()
    }
    found = export.decomposition(spec, finished)
    assert (found.metric, found.verdict) == ("test/loss", "dropout gains")
    assert found.explicit_share is not None
    assert found.explicit_share.estimate == pytest.approx(0.5)


def test_the_summary_says_what_computed_it(store: Store, spec: ExperimentSpec, tmp_path: Path) -> None:
    summary, _ = written(store, finished(store, spec), tmp_path / "out")
    assert ExperimentSpec.from_table(summary["spec"]) == spec
    assert ExperimentSpec.from_table(json.loads((tmp_path / "out" / "spec.json").read_text())) == spec
    assert summary["device"] == "cpu"
    assert {"dropviz", "code", "python", "torch"} <= summary["versions"].keys()
    assert "failed" not in summary


def test_a_value_that_is_no_number_becomes_null(store: Store, spec: ExperimentSpec, tmp_path: Path) -> None:
    experiment = finished(
        store, spec, lambda arm, seed, step: np.nan if seed == 5 else accuracy(arm, seed, step)
    )
    summary, points = written(store, experiment, tmp_path / "out")
    found = summary["arms"]["none"]["train/loss"]
    assert found["values"] == [accuracy("none", 4, 40), None, accuracy("none", 6, 40)]
    assert (found["mean"], found["se"], found["n"]) == (None, None, 3)
    assert points[points.seed == 5].value.isna().all()
    assert points[points.seed == 4].value.notna().all()


def test_a_gain_that_is_no_number_is_no_cost(store: Store, spec: ExperimentSpec, tmp_path: Path) -> None:
    experiment = finished(
        store, spec, lambda arm, seed, step: np.nan if seed == 5 else accuracy(arm, seed, step)
    )
    summary, _ = written(store, experiment, tmp_path / "out")
    assert summary["decomposition"]["verdict"] not in ("dropout costs", "dropout gains")


def test_a_failed_arm_is_named_with_its_reason_and_its_points_are_kept(
    store: Store, spec: ExperimentSpec, tmp_path: Path
) -> None:
    view_id = store.submit(spec)
    failed = run_next(store, outcome="failed", error="It diverged")
    while store.has_queued():
        run_next(store)
    summary, points = written(store, store.experiment(view_id), tmp_path / "out")
    assert summary["failed"] == {failed: "It diverged"}
    assert failed not in summary["arms"]
    assert len(summary["arms"]) == 2
    assert set(points[points.arm == failed].seed) == {4, 5, 6}


def test_unfinished_arms_are_in_the_points_and_not_in_the_summary(
    store: Store, spec: ExperimentSpec, tmp_path: Path
) -> None:
    view_id = store.submit(spec)
    done = run_next(store)
    stopped = run_next(store, outcome="paused")
    summary, points = written(store, store.experiment(view_id), tmp_path / "out")
    assert list(summary["arms"]) == [done]
    assert summary["decomposition"]["verdict"] == "incomplete"
    assert set(points.arm) == {done, stopped}


def test_the_points_are_one_row_a_value(store: Store, spec: ExperimentSpec, tmp_path: Path) -> None:
    _, points = written(store, finished(store, spec), tmp_path / "out")
    assert list(points.columns) == COLUMNS
    assert [str(kind) for kind in points[["seed", "step", "value"]].dtypes] == ["int64", "int64", "float64"]
    assert len(points) == len(spec.arms) * 3 * (2 * len(STEPS) + 1)
    for row in points.itertuples():
        assert row.value == accuracy(row.arm, row.seed, row.step)


def test_an_experiment_without_points_has_an_empty_table(
    store: Store, spec: ExperimentSpec, tmp_path: Path
) -> None:
    summary, points = written(store, store.experiment(store.submit(spec)), tmp_path / "out")
    assert summary["arms"] == {}
    assert list(points.columns) == COLUMNS
    assert len(points) == 0


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"--out .*cannot be written .*: name another folder\."):
        export.check_writable(tmp_path / "file" / "out")
