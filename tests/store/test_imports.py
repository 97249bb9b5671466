"""An experiment from elsewhere, in a database of each kind: every point and array where it was, however many are written at once."""

from __future__ import annotations

import numpy as np
import pytest

from dropviz.experiment import preset
from dropviz.store import SnapshotRow, Store, imports
from dropviz.store.imports import Columns, ImportedExperiment, ImportedJob

NAMES = ("train/loss", "validation/loss", "test/loss")


def job(arm: str, seeds: tuple[int, ...], count: int) -> ImportedJob:
    random = np.random.default_rng(count)
    columns = Columns(
        names=NAMES,
        metrics=random.integers(0, 3, count),
        steps=np.sort(random.integers(0, 41, count)),
        values=random.standard_normal((count, len(seeds))),
    )
    pictures = [
        SnapshotRow(seq=count + i, step=i, name="surface", array=np.full((2, 3), i, np.uint8))
        for i in range(3)
    ]
    return ImportedJob(
        arm=arm, seeds=seeds, state="done", step=40, device="cpu", points=columns, arrays=pictures
    )


@pytest.mark.parametrize("together", [4, 5000])
def test_what_is_kept_is_what_was_brought(
    store: Store, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(imports, "TOGETHER", together)
    jobs = [job("none", (0, 1), 9), job("none", (2,), 0), job("dropout", (0, 1, 2), 13)]
    places = [("none", 2, 1, 0), ("none", 0, 0, 0), ("none", 1, 0, 1)]
    places += [("dropout", seed, 2, seed) for seed in (2, 0, 1)]
    spec = preset("classroom").with_settings(["arms=none,dropout", "seeds=3", "train.steps=40"])
    brought = ImportedExperiment(
        spec=spec, created_at=1e9, provenance={"dropviz": "0"}, jobs=jobs, places=places
    )
    there = store.experiment(store.keep_import(brought, owner="me"))
    assert (there.owner, there.origin, there.state, there.spec) == ("me", "import", "done", spec)
    assert [(one.arm, one.seeds) for one in there.jobs] == [(one.arm, one.seeds) for one in jobs]
    numbers = {one.id: number for number, one in enumerate(there.jobs)}
    assert {(one.arm, one.seed, numbers[one.job_id], one.position) for one in there.results} == set(places)
    for kept, one in zip(there.jobs, jobs, strict=True):
        points, columns = store.points(kept.id), one.points
        assert len(points) == len(columns)
        for place, point in enumerate(points):
            assert (point.seq, point.step) == (place, columns.steps[place])
            assert point.name == NAMES[columns.metrics[place]]
            np.testing.assert_array_equal(point.values, columns.values[place])
        for picture in one.arrays:
            found = store.snapshot_at(kept.id, "surface", picture.step)
            assert found is not None
            assert found.seq == picture.seq
            np.testing.assert_array_equal(found.array, picture.array)
    assert store.provenance(there) == {"dropviz": "0", "computed_at": "1000000000.0"}
    assert not store.has_queued()
