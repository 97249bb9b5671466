"""Several engines on one store: whichever dies, stops or comes back, each job is run once and ends as if undisturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from dropviz.engine.checkpoints import Checkpoints
from dropviz.experiment import ExperimentSpec
from dropviz.store.schema import arrays, jobs, points

ENGINES = 3


@dataclass
class Fleet:
    """Engines with a slot each on the store of one house."""

    house: object
    family: Callable[[int], set[int]]
    engines: list[subprocess.Popen] = field(default_factory=list)

    def start(self) -> None:
        self.engines.append(self.house.start("-m", "dropviz.engine"))  # type: ignore[attr-defined]

    def of(self, pid: int) -> subprocess.Popen:
        """The engine that a child belongs to."""
        return next(engine for engine in self.engines if pid in self.family(engine.pid))

    def kill(self, engine: subprocess.Popen) -> None:
        engine.kill()
        engine.communicate(timeout=20)
        self.engines.remove(engine)


@pytest.fixture(scope="module")
def fleet(shared) -> Iterator[Fleet]:
    from tests.houses import family_of

    opened = Fleet(shared, family_of)
    for _ in range(ENGINES):
        opened.start()
    yield opened
    for engine in opened.engines:
        engine.terminate()
    for engine in opened.engines:
        engine.communicate(timeout=30)


@pytest.fixture(scope="module")
def made() -> dict[str, list]:
    """The series of a run that nothing interrupted, made by the first test that needs it."""
    return {}


@pytest.fixture
def undisturbed(shared, fleet: Fleet, long: ExperimentSpec, made: dict[str, list]) -> list:
    if not made:
        view_id = shared.store.submit(long, fresh=True)
        assert shared.finish(view_id) == "done"
        made["series"] = shared.series(view_id)
    return made["series"]


def past_a_checkpoint(house, view_id: str, wait_for: Callable) -> int:
    """The process of a run that has a checkpoint and points past it."""
    pid = house.running_pid(view_id)
    wait_for(Checkpoints(house.store).path(house.job(view_id).id).exists, "a checkpoint")
    saved = house.job(view_id).step
    wait_for(lambda: house.job(view_id).step > saved, "points past the checkpoint")
    return pid


def test_each_engine_takes_a_job(
    shared, fleet: Fleet, endless: ExperimentSpec, wait_for: Callable, alive: Callable
) -> None:
    views = [shared.store.submit(endless.with_settings([f"first_seed={seed}"])) for seed in range(0, 90, 30)]
    pids = [shared.running_pid(view_id) for view_id in views]
    assert len({fleet.of(pid).pid for pid in pids}) == ENGINES
    assert {worker.pid for worker in shared.store.workers()} == {engine.pid for engine in fleet.engines}
    for view_id in views:
        shared.store.request(view_id, "stop")
    wait_for(lambda: not any(alive(pid) for pid in pids), "all have stopped")


def test_who_queued_less_comes_first_whichever_engine_is_free(
    shared, fleet: Fleet, endless: ExperimentSpec, wait_for: Callable
) -> None:
    busy = [
        shared.store.submit(endless.with_settings([f"first_seed={seed}"]), owner="busy")
        for seed in range(100, 220, 20)
    ]
    wait_for(
        lambda: sum(shared.job(one).state == "running" for one in busy) == ENGINES, "all slots are taken"
    )
    late = shared.store.submit(endless.with_settings(["first_seed=300"]), owner="late")
    assert shared.store.queue_position(late) == 0
    shared.store.request(busy[0], "stop")
    wait_for(lambda: shared.job(late).state == "running", "the late one has the free slot")
    assert [shared.job(one).state for one in busy[3:]] == ["queued"] * 3
    for view_id in [late, *busy]:
        shared.store.request(view_id, "stop")
    wait_for(lambda: not shared.store.live_jobs(), "all have stopped")


def test_a_child_that_is_killed_is_resumed_and_ends_bit_identical(
    shared, fleet: Fleet, long: ExperimentSpec, undisturbed: list, wait_for: Callable
) -> None:
    view_id = shared.store.submit(long, fresh=True)
    os.kill(past_a_checkpoint(shared, view_id, wait_for), signal.SIGKILL)
    assert shared.finish(view_id) == "done"
    assert (shared.job(view_id).attempt, shared.job(view_id).epoch) == (2, 1)
    assert shared.series(view_id) == undisturbed


def test_an_engine_that_is_killed_is_forgotten_and_another_ends_its_job_bit_identical(
    shared, fleet: Fleet, long: ExperimentSpec, undisturbed: list, wait_for: Callable
) -> None:
    view_id = shared.store.submit(long, fresh=True)
    dead = fleet.of(past_a_checkpoint(shared, view_id, wait_for))
    fleet.kill(dead)
    wait_for(lambda: shared.job(view_id).attempt == 2, "another one takes it up", 20)
    assert shared.finish(view_id) == "done"
    assert shared.series(view_id) == undisturbed
    wait_for(lambda: dead.pid not in {worker.pid for worker in shared.store.workers()}, "it is forgotten")
    fleet.start()


def test_an_engine_that_stops_and_comes_back_is_fenced_out(
    shared, fleet: Fleet, long: ExperimentSpec, undisturbed: list, wait_for: Callable, alive: Callable
) -> None:
    view_id = shared.store.submit(long, fresh=True)
    pid = past_a_checkpoint(shared, view_id, wait_for)
    cut_off = fleet.of(pid)
    frozen = sorted(fleet.family(cut_off.pid))
    for one in frozen:
        os.kill(one, signal.SIGSTOP)
    wait_for(lambda: shared.store.experiment(view_id).state == "stalled", "it is seen to be silent", 20)
    wait_for(lambda: shared.job(view_id).attempt == 2 and shared.job(view_id).step, "another one takes it up")
    wait_for(lambda: cut_off.pid not in {worker.pid for worker in shared.store.workers()}, "it is forgotten")
    for one in frozen:
        os.kill(one, signal.SIGCONT)
    wait_for(lambda: not alive(pid), "the superseded child ends", 20)
    wait_for(lambda: cut_off.pid in {worker.pid for worker in shared.store.workers()}, "its engine is back")
    assert shared.finish(view_id) == "done"
    assert shared.job(view_id).attempt == 2
    assert shared.series(view_id) == undisturbed


def test_an_engine_that_starts_takes_up_what_its_machines_former_one_left_and_nothing_else(
    shared, fleet: Fleet, endless: ExperimentSpec, wait_for: Callable
) -> None:
    views = [
        shared.store.submit(endless.with_settings([f"first_seed={seed}"])) for seed in range(400, 490, 30)
    ]
    pids = {view_id: shared.running_pid(view_id) for view_id in views}
    fleet.kill(fleet.of(pids[views[0]]))
    fleet.start()
    wait_for(lambda: shared.job(views[0]).attempt == 2, "it is taken up")
    assert [shared.job(view_id).pid for view_id in views[1:]] == [pids[view_id] for view_id in views[1:]]
    assert [shared.job(view_id).attempt for view_id in views] == [2, 1, 1]
    for view_id in views:
        shared.store.request(view_id, "stop")
    wait_for(lambda: not shared.store.live_jobs(), "all have stopped")


def test_a_command_that_starts_no_engine_has_its_run_done_elsewhere(
    shared, fleet: Fleet, tmp_path: Path, family: Callable
) -> None:
    shared.environment["DROPVIZ_ENGINE"] = "none"
    settings = ["--set", "train.steps=40", "--set", "model.widths=[8]", "--seeds", "2", "--arms", "dropout"]
    run = shared.start(
        "-m", "dropviz.cli", "run", "--preset", "noisy-digits", *settings, "--out", str(tmp_path)
    )
    try:
        assert family(run.pid) == {run.pid}
        _, said = run.communicate(timeout=120)
        assert run.returncode == 0, said
        assert json.loads((tmp_path / "summary.json").read_text())
        assert family(run.pid) == {run.pid}
    finally:
        del shared.environment["DROPVIZ_ENGINE"]


@pytest.mark.parametrize("end", ["halt", "crash"])
def test_a_database_that_is_restarted_or_crashes_costs_no_point(
    shared,
    fleet: Fleet,
    postgres_server,
    long: ExperimentSpec,
    undisturbed: list,
    wait_for: Callable,
    end: str,
) -> None:
    view_id = shared.store.submit(long, fresh=True)
    past_a_checkpoint(shared, view_id, wait_for)
    getattr(postgres_server, end)()
    postgres_server.start()
    assert shared.finish(view_id) == "done"
    assert shared.series(view_id) == undisturbed


def test_points_that_a_crash_has_lost_are_computed_again(
    shared, fleet: Fleet, long: ExperimentSpec, undisturbed: list, wait_for: Callable
) -> None:
    """Whether a crash loses any is a matter of milliseconds, so here they are taken away."""
    view_id = shared.store.submit(long, fresh=True)
    past_a_checkpoint(shared, view_id, wait_for)
    job = shared.job(view_id).id
    with shared.store.database.write() as connection:
        last = connection.execute(select(jobs.c.seq).where(jobs.c.id == job).with_for_update()).scalar_one()
        for table in (points, arrays):
            connection.execute(delete(table).where(table.c.job_id == job, table.c.seq > last - 3))
        connection.execute(update(jobs).where(jobs.c.id == job).values(seq=last - 3))
    assert shared.finish(view_id) == "done"
    assert shared.job(view_id).attempt == 2
    assert shared.series(view_id) == undisturbed
