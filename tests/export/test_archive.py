"""An exported run, opened in another store: the same numbers, and nothing that is not one gets in."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from dropviz import export
from dropviz.analysis.headline import headline
from dropviz.choices import SpecError
from dropviz.experiment import ExperimentSpec
from dropviz.export import archive
from dropviz.store import Experiment, SnapshotRow, Store, points
from dropviz.store.schema import arrays
from tests.export.played import finished, run_next


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "elsewhere" / "dropviz.db")
    yield opened
    opened.close()


def zipped(store: Store, experiment: Experiment, folder: Path) -> bytes:
    archive.write_zip(folder / "run.zip", archive.members(store, experiment))
    return (folder / "run.zip").read_bytes()


def moved(store: Store, experiment: Experiment, folder: Path, to: Store) -> Experiment:
    return to.experiment(to.keep_import(archive.opened(zipped(store, experiment, folder)), owner="me"))


def tables(store: Store, experiment: Experiment) -> dict[str, bytes]:
    return dict(export.files.table_files(store, experiment))


def test_an_opened_run_has_the_same_files_and_the_same_headline(
    store: Store, spec: ExperimentSpec, tmp_path: Path, elsewhere: Store
) -> None:
    experiment = finished(store, spec)
    there = moved(store, experiment, tmp_path, elsewhere)
    assert (there.origin, there.state, there.owner) == ("import", "done", "me")
    assert tables(elsewhere, there) == tables(store, experiment)
    for one, other in ((store, experiment), (elsewhere, there)):
        decomposed = export.decomposition(spec, export.finished_values(other, export.series_of(one, other)))
        assert headline(decomposed, spec).text.startswith("Here dropout gains")


def test_an_opened_run_is_exported_to_the_same_bytes(
    store: Store, spec: ExperimentSpec, tmp_path: Path, elsewhere: Store
) -> None:
    experiment = finished(store, spec)
    content = zipped(store, experiment, tmp_path)
    there = elsewhere.experiment(elsewhere.keep_import(archive.opened(content)))
    again = zipped(elsewhere, there, tmp_path)
    with zipfile.ZipFile(io.BytesIO(content)) as one, zipfile.ZipFile(io.BytesIO(again)) as other:
        for name in ("run.json", "run.safetensors"):
            assert one.read(name) == other.read(name)


def test_joined_jobs_arrays_failures_and_what_is_no_number_come_along(
    store: Store, spec: ExperimentSpec, tmp_path: Path, elsewhere: Store
) -> None:
    finished(store, spec.with_settings(["arms=none"]))
    view_id = store.submit(spec.with_settings(["first_seed=2", "seeds=5"]))
    run_next(store, lambda arm, seed, step: np.nan if step else np.inf)
    run_next(store, outcome="failed", error="It diverged")
    while store.has_queued():
        run_next(store)
    experiment = store.experiment(view_id)
    job = experiment.jobs[0]
    pictures = [
        SnapshotRow(
            seq=90 + i, step=20 * i, name="surface", array=np.arange(6, dtype=np.uint8).reshape(2, 3) + i
        )
        for i in range(2)
    ]
    with store.database.write() as connection:
        connection.execute(arrays.insert(), [points.array_row(job.id, one) for one in pictures])
    there = moved(store, experiment, tmp_path, elsewhere)
    assert [(r.arm, r.seed, r.position) for r in there.results] == [
        (r.arm, r.seed, r.position) for r in experiment.results
    ]
    assert [one.state for one in there.jobs] == [one.state for one in experiment.jobs]
    assert there.state == "failed"
    assert tables(elsewhere, there)["points.csv"] == tables(store, experiment)["points.csv"]
    assert b"It diverged" in tables(elsewhere, there)["summary.json"]
    for picture in pictures:
        found = elsewhere.snapshot_at(there.jobs[0].id, "surface", picture.step)
        np.testing.assert_array_equal(found.array, picture.array)


def test_a_run_under_way_is_opened_as_a_stopped_one(
    store: Store, spec: ExperimentSpec, tmp_path: Path, elsewhere: Store
) -> None:
    view_id = store.submit(spec)
    run_next(store)
    there = moved(store, store.experiment(view_id), tmp_path, elsewhere)
    assert there.state == "stopped"
    assert sorted(job.state for job in there.jobs) == ["done", "stopped", "stopped"]


def test_nobodys_experiment_takes_over_results_that_were_opened(
    store: Store, spec: ExperimentSpec, tmp_path: Path, elsewhere: Store
) -> None:
    moved(store, finished(store, spec), tmp_path, elsewhere)
    assert not elsewhere.has_queued()
    mine = elsewhere.experiment(elsewhere.submit(spec))
    assert mine.state == "queued"
    assert {job.state for job in mine.jobs} == {"queued"}


def test_what_computed_it_is_said_and_not_what_opened_it(
    store: Store, spec: ExperimentSpec, tmp_path: Path, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = zipped(store, finished(store, spec), tmp_path)
    monkeypatch.setitem(export.versions.__globals__, "__version__", "9.9")
    there = elsewhere.experiment(elsewhere.keep_import(archive.opened(content)))
    said = json.loads(tables(elsewhere, there)["summary.json"])
    assert said["versions"]["dropviz"] != "9.9"
    assert said["device"] == "cpu"


def repacked(content: bytes, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> bytes:
    """The zip with its run.json and its tensors changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as found:
        run, tensors = json.loads(found.read("run.json")), load(found.read("run.safetensors"))
    change(run, tensors)
    return zip_of({"run.json": json.dumps(run).encode(), "run.safetensors": save(tensors)})


def zip_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            made.writestr(name, text)
    return out.getvalue()


def setting(*path: Any) -> Callable[[Any, Any], None]:
    """Sets what lies at the path to its last entry."""
    *keys, last, value = path

    def change(run: Any, tensors: Any) -> None:
        for key in keys:
            run = run[key]
        run[last] = value

    return change


def tensor(name: str, value: np.ndarray | None) -> Callable[[Any, Any], None]:
    def change(run: Any, tensors: Any) -> None:
        tensors[name] = value
        if value is None:
            del tensors[name]

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (setting("format", 2), "is of format 2, and this DropViz reads 1"),
        (setting("spec", "p", 7), "p = 7 is not possible"),
        (setting("spec", "data", {"name": "csv", "file": "../../etc/passwd"}), "etc/passwd"),
        (setting("more", 1), "run.json: more is not a setting"),
        (setting("created_at", "yesterday"), "created_at = 'yesterday' is not possible"),
        (setting("versions", "dropviz", "1" * 300), "is no name of a metric, a package or a device"),
        (setting("jobs", []), "jobs = [] is not possible"),
        (setting("jobs", 0, "state", "running"), "state = 'running' is not possible"),
        (setting("jobs", 0, "step", 41), "Step 41 of"),
        (setting("jobs", 0, "metrics", ["x" * 201]), "is no name of a metric"),
        (setting("jobs", 0, "metrics", ["x"]), "belongs to no metric"),
        (setting("jobs", 0, "seeds", [4, 5]), "at seed 6 where it is not"),
        (setting("jobs", 0, "seeds", [4, 5, 6, 7]), "is not what run.json says of it"),
        (setting("jobs", 0, "arm", "implicit"), "places"),
        (setting("jobs", 0, "arrays", [{"name": "surface", "step": 0}]), "lacks 0/array/0"),
        (setting("places", 0, ["dropout", 4, 99, 0]), "places dropout at seed 4 where it is not"),
        (setting("places", 0, ["dropout", 4, -1, 0]), "places dropout at seed 4 where it is not"),
        (setting("places", []), "places = [] is not possible"),
        (tensor("0/values", None), "lacks 0/values"),
        (tensor("0/values", np.zeros((7, 3), np.float32)), "0/values of run.safetensors is not what"),
        (tensor("0/steps", np.zeros((6,), np.int64)), "0/steps of run.safetensors is not what"),
        (tensor("0/steps", np.full((7,), -1)), "Step -1 of"),
        (tensor("0/metrics", np.full((7,), 9)), "belongs to no metric"),
    ],
)
def test_a_changed_record_is_refused_with_a_sentence(
    store: Store, spec: ExperimentSpec, tmp_path: Path, change: Any, sentence: str
) -> None:
    content = zipped(store, finished(store, spec), tmp_path)
    archive.opened(repacked(content, lambda run, tensors: None))
    with pytest.raises(SpecError) as refused:
        archive.opened(repacked(content, change))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def large_directory() -> bytes:
    """A zip that says that its list takes 100 MB."""
    content = bytearray(zip_of({"run.json": b"{}"}))
    end = content.rfind(b"PK\x05\x06")
    content[end + 12 : end + 16] = struct.pack("<L", 100_000_000)
    return bytes(content)


def of_64_bits() -> bytes:
    content = zip_of({"run.json": b"{}"})
    end = content.rfind(b"PK\x05\x06")
    return content[:end] + b"PK\x06\x07" + bytes(16) + content[end:]


def twice() -> bytes:
    content = zip_of({"run.json": b"{}", "run.jsoN": b"{}"})
    return content.replace(b"run.jsoN", b"run.json")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a zip"),
        (b"PK\x05\x06", "not a zip"),
        (bytes(archive.MOST_BYTES + 1), "and an exported run may have 64,000,000"),
        (zip_of({"other": b""}), "holds run.json no times"),
        (zip_of({"../run.json": b"{}"}), "holds run.json no times"),
        (zip_of({"run.json": b"{}"}), "holds run.safetensors no times"),
        (twice(), "holds run.json 2 times"),
        (large_directory(), "lists more files"),
        (of_64_bits(), "lists more files"),
        (zip_of({"run.json": bytes(archive.MOST_TEXT_BYTES + 1)}), "more than 8,000,000 bytes"),
        (
            zip_of({"run.json": b"{}", "run.safetensors": bytes(archive.MOST_BYTES + 1)}),
            "more than 64,000,000 bytes",
        ),
        (zip_of({"run.json": b"[" * 10**6, "run.safetensors": b""}), "is not valid JSON"),
        (zip_of({"run.json": b"[]", "run.safetensors": b""}), "holds no table"),
        (zip_of({"run.json": b"\xff", "run.safetensors": b""}), "is not valid JSON"),
        (zip_of({"run.json": b"{}", "run.safetensors": b""}), "is of format None"),
        (
            zip_of({"run.json": b"{}", "run.safetensors": b"x"})[:60] + b"?" * 10 + zip_of({"a": b""})[-60:],
            "zip",
        ),
    ],
)
def test_what_is_no_exported_run_is_refused_with_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(SpecError) as refused:
        archive.opened(content)
    assert sentence in str(refused.value)


def test_tensors_that_are_none_are_refused(store: Store, spec: ExperimentSpec, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(zipped(store, finished(store, spec), tmp_path))) as found:
        run, numbers = found.read("run.json"), found.read("run.safetensors")
    for broken in (b"", b"x", numbers[:100], b"\xff" * 8 + numbers[8:], numbers.replace(b"F64", b"BF8")):
        with pytest.raises(SpecError, match=r"run\.safetensors"):
            archive.opened(zip_of({"run.json": run, "run.safetensors": broken}))
