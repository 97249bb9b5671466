"""Uploaded files that nothing names go a day after they were last used; one that is named never goes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dropviz import uploads
from dropviz.classes import ClassDefinition
from dropviz.commands.upkeep.prune import prune
from dropviz.engine.daily import DailyPrune
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.store.pruning import Rules, carry_out, plan_uploads
from dropviz.sweeps import Axis, Sweep
from tests.store.ageing import ME, MONTH, OLD, back, pruned, there, work

HOUR, DAY = 3600.0, 86400.0


def handed_in(rows: int, *, hours: float = 30.0) -> str:
    """A table of so many rows that was last used so long ago."""
    lines = [f"{row},{row % 7},{'ab'[row % 2]}" for row in range(rows)]
    digest = uploads.keep("\n".join(["x,y,kind", *lines]).encode(), "csv")
    used(digest, hours=hours)
    return digest


def used(name: str, *, hours: float) -> None:
    at = time.time() - hours * HOUR
    os.utime(uploads.folder() / name, (at, at))


def on(spec: ExperimentSpec, digest: str) -> ExperimentSpec:
    return ExperimentSpec.from_table(spec.to_table() | {"data": {"name": "csv", "file": digest}})


def here() -> set[str]:
    return {path.name for path in uploads.folder().iterdir()}


def test_what_nothing_names_goes_a_day_after_it_was_last_used(store: Store, spec: ExperimentSpec) -> None:
    old, new, named = handed_in(60), handed_in(61, hours=23), handed_in(62)
    store.submit(on(spec, named))
    used(named, hours=1000)
    (uploads.folder() / "part-cut-off").write_bytes(b"half a")
    used("part-cut-off", hours=30)
    (uploads.folder() / "notes of who runs it.txt").write_bytes(b"not ours")
    used("notes of who runs it.txt", hours=1000)
    planned = pruned(store, Rules())
    assert set(planned.uploads) == {old, "part-cut-off"}
    assert planned.uploads["part-cut-off"] == 6
    assert here() == {new, named, "notes of who runs it.txt"}


def test_a_file_is_kept_by_whatever_names_it(
    store: Store, spec: ExperimentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thrown_away, of_sweep, of_class, estimated, of_lesson = (handed_in(60 + place) for place in range(5))
    view_id = store.submit(on(spec, thrown_away), owner=ME)
    store.sweeps.submit(Sweep(base=on(spec, of_sweep), axes=(Axis(key="p", values=(0.1, 0.2)),)), ME)
    with store.database.write() as connection:  # as where it stopped before a cell was queued
        connection.exec_driver_sql("DELETE FROM sweep_cells")
        connection.exec_driver_sql("DELETE FROM experiment_results")
        connection.exec_driver_sql("DELETE FROM experiment_jobs")
        connection.exec_driver_sql(f"DELETE FROM experiments WHERE id <> '{view_id}'")
    store.classes.create(ClassDefinition.of(on(spec, of_class), "A class", open=["p"]), "teacher")
    work(store)
    store.runs.delete(view_id, ME)
    store.request_estimate(on(spec, estimated))
    lessons = tmp_path / "lessons"
    lessons.mkdir()
    (lessons / "01-mine.md").write_text(f'data = {{ name = "csv", file = "{of_lesson}" }}')
    monkeypatch.setenv("DROPVIZ_LESSONS", str(lessons))
    every = [thrown_away, of_sweep, of_class, estimated, of_lesson]
    for digest in every:
        used(digest, hours=1000)
    pruned(store, Rules())
    assert here() == {*every}
    work(store)  # the estimate is done, and needs its file no more
    assert set(pruned(store, Rules()).uploads) == {estimated}


def test_a_file_goes_with_the_last_run_that_named_it(store: Store, spec: ExperimentSpec) -> None:
    digest = handed_in(60)
    views = [store.submit(on(spec, digest).with_settings([f"p=0.{place}"]), owner=ME) for place in (1, 2)]
    work(store)
    back(store, OLD)
    used(digest, hours=1000)
    store.runs.describe(views[0], ME, pinned=True)
    assert pruned(store).uploads == {}
    assert (there(store, views[0]), there(store, views[1]), here()) == (True, False, {digest})
    store.runs.describe(views[0], ME, pinned=False)
    used(digest, hours=1000)  # as who looks at a run uses its file
    assert set(pruned(store).uploads) == {digest}
    assert here() == set()


def test_what_is_named_used_or_handed_in_again_after_the_look_stays(
    store: Store, spec: ExperimentSpec
) -> None:
    named, read, again, gone = (handed_in(60 + place) for place in range(4))
    planned = plan_uploads(store)
    assert set(planned.uploads) == {named, read, again, gone}
    store.submit(on(spec, named))
    used(named, hours=1000)  # and though its use was not noted
    assert not on(spec, read).data.missing()
    handed_in(62, hours=0)
    carry_out(store, planned)
    assert here() == {named, read, again}


def test_a_use_is_noted_once_an_hour_and_what_it_holds_is_the_same() -> None:
    digest = handed_in(60, hours=0.5)
    before = (uploads.folder() / digest).stat().st_mtime
    uploads.path_of(digest)
    assert (uploads.folder() / digest).stat().st_mtime == before
    used(digest, hours=2)
    content = uploads.read(digest, "csv")
    assert (uploads.folder() / digest).stat().st_mtime > before
    assert uploads.keep(content, "csv") == digest


def test_the_engine_removes_them_every_day_though_no_setting_says_what_is_old(
    store: Store, spec: ExperimentSpec
) -> None:
    old, named = handed_in(60), handed_in(61)
    view_id = store.submit(on(spec, named), owner=ME)
    work(store)
    back(store, 1000 * DAY)
    used(named, hours=1000)
    daily = DailyPrune(store)
    daily.turn()
    assert here() == {old, named}, "not as soon as an engine starts"
    daily._due_at = 0.0
    daily.turn()
    deadline = time.monotonic() + 30
    while here() != {named}:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert there(store, view_id)


def test_the_command_lists_them_and_deletes_them_when_told(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    digests = [handed_in(60 + place) for place in range(22)]
    assert prune(MONTH, dry_run=True, yes=False) == 0
    said = capsys.readouterr().out
    assert "22 uploaded files that nothing names and nobody used for a day" in said
    assert [line for line in said.splitlines() if f"  {sorted(digests)[0]}: " in line]
    assert "  and 2 more" in said
    assert here() == {*digests}
    assert prune(MONTH, dry_run=False, yes=True) == 0
    assert here() == set()


def test_where_another_store_names_files_in_the_same_place_all_stay_and_that_is_said(
    store: Store, spec: ExperimentSpec, data: Path
) -> None:
    digest = handed_in(60)
    other = Store.open(data / "other.db")
    other.submit(on(spec, digest))
    other.close()
    used(digest, hours=1000)
    planned = pruned(store, Rules())
    assert planned.uploads == {}
    (warning,) = planned.warnings
    assert "other.db" in warning
    assert "move it away if it is not" in warning
    assert here() == {digest}
