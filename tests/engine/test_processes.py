"""Engines as processes: one a data directory, and nothing outlives what it belongs to."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store

KEEPER = """
import time
from dropviz.engine import start_engine_if_none
keeper = start_engine_if_none()
time.sleep(600)
"""


def test_killing_the_engine_leaves_no_orphan_and_the_next_one_finishes(
    house,
    endless: ExperimentSpec,
    tiny: ExperimentSpec,
    wait_for: Callable,
    alive: Callable,
    family: Callable,
) -> None:
    engine = house.start("-m", "dropviz.engine")
    view_id = house.store.submit(endless)
    child = house.running_pid(view_id)
    processes = family(engine.pid)
    assert child in processes
    engine.kill()
    engine.communicate(timeout=10)
    wait_for(lambda: not any(alive(pid) for pid in processes), "all are gone", 10)
    assert house.job(view_id).state == "running"  # as the store knew it last
    successor = house.start("-m", "dropviz.engine")
    house_pid = house.running_pid(view_id)
    wait_for(
        lambda: house.job(view_id).attempt == 2 and house.job(view_id).pid not in (None, child), "resumed"
    )
    processes = family(successor.pid)
    assert house_pid
    second = house.start("-m", "dropviz.engine")
    _, complaint = second.communicate(timeout=30)
    assert second.returncode == 1
    assert f"already (process {successor.pid})" in complaint
    successor.terminate()
    successor.communicate(timeout=20)
    wait_for(lambda: not any(alive(pid) for pid in processes), "all are gone", 10)
    assert house.job(view_id).state == "queued"
    assert house.store.workers() == []


def test_a_keeper_replaces_an_engine_that_dies_and_takes_it_along_when_it_is_killed(
    house, endless: ExperimentSpec, wait_for: Callable, alive: Callable, family: Callable
) -> None:
    keeper = house.start("-c", KEEPER)
    view_id = house.store.submit(endless)
    first = house.running_pid(view_id)
    (engine,) = [worker.pid for worker in house.store.workers()]
    os.kill(engine, signal.SIGKILL)
    wait_for(
        lambda: house.job(view_id).attempt == 2 and house.job(view_id).pid not in (None, first), "resumed"
    )
    processes = family(keeper.pid)
    assert house.job(view_id).pid in processes
    keeper.kill()
    keeper.communicate(timeout=10)
    wait_for(lambda: not any(alive(pid) for pid in processes), "all are gone", 10)


def test_of_two_keepers_that_start_at_once_on_postgresql_one_has_an_engine(
    shared, wait_for: Callable, family: Callable
) -> None:
    keepers = [shared.start("-c", KEEPER) for _ in range(2)]
    try:
        wait_for(shared.store.workers, "an engine")
        time.sleep(5)  # in which another one would have come, too
        (worker,) = shared.store.workers()
        assert sum(worker.pid in family(keeper.pid) for keeper in keepers) == 1
    finally:
        for keeper in keepers:
            keeper.kill()
            keeper.communicate(timeout=10)


def test_a_store_that_was_moved_away_leaves_nothing_to_the_next_one(
    house, long: ExperimentSpec, tiny: ExperimentSpec, wait_for: Callable
) -> None:
    engine = house.start("-m", "dropviz.engine")
    view_id = house.store.submit(long)
    checkpoint = house.folder / "dropviz.checkpoints" / f"{house.job(view_id).id}.safetensors"
    wait_for(checkpoint.exists, "a checkpoint")
    engine.kill()
    engine.communicate(timeout=10)
    house.store.close()
    for path in house.folder.glob("dropviz.db*"):
        path.unlink()
    store = Store.open(house.folder / "dropviz.db")
    successor = house.start("-m", "dropviz.engine")
    try:
        view_id = store.submit(tiny)
        wait_for(lambda: store.experiment(view_id).state == "done", "done")
        job = store.experiment(view_id).jobs[0]
        assert checkpoint.stem == str(job.id), "the test is of no use if the numbers differ"
        assert [p.step for p in store.points(job.id) if p.name == "train/loss"] == [0, 10, 20, 30, 40]
    finally:
        successor.terminate()
        successor.communicate(timeout=20)
        store.close()


def test_an_engine_whose_torch_does_not_load_ends_instead_of_waiting(house, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise OSError('libcublas.so: cannot open shared object file')")
    house.environment["PYTHONPATH"] = os.pathsep.join([str(broken.parent), house.environment["PYTHONPATH"]])
    engine = house.start("-m", "dropviz.engine")
    _, said = engine.communicate(timeout=60)
    assert engine.returncode == 1
    assert "the fork server ended while it imported torch" in said


def test_the_engines_log_says_what_became_of_each_job_and_of_nobody_whose_it_was(
    house, tiny: ExperimentSpec
) -> None:
    house.environment["DROPVIZ_LOG"] = "json"
    engine = house.start("-m", "dropviz.engine")
    view_ids = [
        house.store.submit(tiny, owner="0a" * 16),
        house.store.submit(
            tiny.with_settings(["train.learning_rate=1e6", "model.widths=[128,128]"]), owner="0b" * 16
        ),
    ]
    assert [house.finish(view_id) for view_id in view_ids] == ["done", "failed"]
    engine.terminate()
    _, said = engine.communicate(timeout=20)
    lines = [json.loads(line) for line in said.splitlines()]
    of = {house.job(view_id).id: house.job(view_id).state for view_id in view_ids}
    ends = {line["job"]: line["outcome"] for line in lines if line["event"] == "job ends"}
    assert ends == of
    assert {line["role"] for line in lines} == {"engine", "child"}
    assert [line["reason"] for line in lines if line.get("outcome") == "failed"] == ["diverged"]
    assert not any(secret in said for secret in ("0a" * 16, "0b" * 16, *view_ids))
