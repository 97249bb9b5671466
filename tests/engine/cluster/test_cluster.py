"""Jobs on a cluster, its store a file or PostgreSQL: the same numbers as on one machine, whatever dies or freezes in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from dropviz.experiment import ExperimentSpec
from tests.engine.cluster.conftest import Site
from tests.houses import House
from tests.postgres import PASSWORD


def test_a_job_has_the_same_points_as_on_one_machine(
    busy_site: Site, served: House, tiny: ExperimentSpec
) -> None:
    there, here = busy_site.house.store.submit(tiny), served.store.submit(tiny)
    assert busy_site.house.finish(there) == served.finish(here) == "done"
    assert busy_site.house.series(there) == served.series(here)
    assert busy_site.house.weights(there) == served.weights(here)


def test_a_killed_child_is_resumed_to_the_same_points(
    busy_site: Site, served: House, steady: ExperimentSpec, wait_for: Callable
) -> None:
    here = served.store.submit(steady)
    house = busy_site.house
    there = house.store.submit(steady)
    child = house.running_pid(there, step=200)
    assert busy_site.cluster.worker_of(child) in ("one", "two")
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: house.job(there).attempt == 2, "tried again")
    assert house.finish(there) == served.finish(here) == "done"
    assert "killed by signal 9" in busy_site.said()
    assert house.series(there) == served.series(here)


def test_a_stopped_job_ends_even_if_its_child_hangs(
    busy_site: Site, endless: ExperimentSpec, alive: Callable, wait_for: Callable
) -> None:
    house = busy_site.house
    view_id = house.store.submit(endless)
    child = house.running_pid(view_id)
    os.kill(child, signal.SIGSTOP)
    house.store.request(view_id, "stop")
    wait_for(lambda: not alive(child), "killed")
    wait_for(lambda: house.job(view_id).state == "stopped", "stopped")


def test_pause_and_resume_reach_a_child(
    busy_site: Site, endless: ExperimentSpec, alive: Callable, wait_for: Callable
) -> None:
    house = busy_site.house
    view_id = house.store.submit(endless.with_settings(["first_seed=50"]))
    child = house.running_pid(view_id)
    house.store.request(view_id, "pause")
    wait_for(lambda: house.job(view_id).state == "paused" and not alive(child), "paused")
    step = house.job(view_id).step
    house.store.request(view_id, "run")
    wait_for(lambda: house.job(view_id).step > step, "goes on")
    house.store.request(view_id, "stop")
    wait_for(lambda: house.job(view_id).state == "stopped", "stopped")


def test_the_many_do_not_wait_behind_one_who_queues_many(
    busy_site: Site, tiny: ExperimentSpec, wait_for: Callable
) -> None:
    store = busy_site.house.store
    greedy = [
        store.submit(tiny.with_settings([f"first_seed={100 + 10 * n}"]), owner="greedy") for n in range(12)
    ]
    others = [
        store.submit(tiny.with_settings([f"first_seed={500 + 10 * n}"]), owner=f"student {n}")
        for n in range(4)
    ]
    wait_for(lambda: all(store.experiment(one).state == "done" for one in others), "all others are done")
    ended = {view: store.experiment(view).jobs[0].finished_at or float("inf") for view in greedy + others}
    last = max(ended[view] for view in others)
    assert sum(ended[view] > last for view in greedy) >= 6
    wait_for(lambda: all(store.experiment(one).state == "done" for one in greedy), "and the rest")


def test_a_killed_worker_takes_its_child_along_and_another_one_goes_on(
    busy_site: Site,
    served: House,
    steady: ExperimentSpec,
    wait_for: Callable,
    alive: Callable,
    family: Callable,
) -> None:
    spec = steady.with_settings(["first_seed=10"])
    house, cluster = busy_site.house, busy_site.cluster
    here, there = served.store.submit(spec), house.store.submit(spec)
    name = cluster.worker_of(house.running_pid(there, step=200))
    processes = family(cluster.processes[name].pid)
    cluster.kill(name)
    wait_for(lambda: not any(alive(pid) for pid in processes), "no orphan", 10)
    wait_for(lambda: house.job(there).attempt == 2, "taken up")
    assert "The cluster lost worker" in busy_site.said()
    busy_site.wait_for_slots(1)
    assert house.finish(there) == served.finish(here) == "done"
    assert house.series(there) == served.series(here)
    cluster.add(f"{name}-again")
    busy_site.wait_for_slots(2)


def test_a_frozen_worker_is_fenced_when_it_returns(
    busy_site: Site,
    served: House,
    steady: ExperimentSpec,
    wait_for: Callable,
    alive: Callable,
    family: Callable,
) -> None:
    spec = steady.with_settings(["first_seed=20"])
    house, cluster = busy_site.house, busy_site.cluster
    here, there = served.store.submit(spec), house.store.submit(spec)
    child = house.running_pid(there, step=200)
    name = cluster.worker_of(child)
    frozen = family(cluster.processes[name].pid)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: house.job(there).attempt == 2, "taken up, as nothing was heard of it")
    assert cluster.worker_of(house.running_pid(there)) != name
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not alive(child), "the child that was given up ends")
    assert house.finish(there) == served.finish(here) == "done"
    assert house.job(there).attempt == 2
    assert house.series(there) == served.series(here)
    busy_site.wait_for_slots(2)


def test_a_killed_dispatcher_loses_nothing(
    busy_site: Site, served: House, steady: ExperimentSpec, wait_for: Callable, alive: Callable
) -> None:
    spec = steady.with_settings(["first_seed=40"])
    house = busy_site.house
    here, there = served.store.submit(spec), house.store.submit(spec)
    child = house.running_pid(there, step=200)
    assert busy_site.engine is not None
    os.kill(child, signal.SIGSTOP)  # or it would be done before the next engine is there
    busy_site.engine.kill()
    busy_site.engine.wait(10)
    busy_site.start_engine()
    wait_for(lambda: house.job(there).attempt == 2, "taken up by the next engine")
    os.kill(child, signal.SIGCONT)
    wait_for(lambda: not alive(child), "the former engine's child was fenced out")
    assert house.finish(there) == served.finish(here) == "done"
    assert house.job(there).attempt == 2
    assert house.series(there) == served.series(here)


def test_no_password_of_the_store_is_logged(busy_site: Site) -> None:
    logs = [busy_site.log, *busy_site.cluster.folder.glob("*.log")]
    assert len(logs) > 3
    assert not any(PASSWORD in log.read_text(errors="replace") for log in logs)


def test_a_lost_scheduler_ends_the_engine_and_nothing_else(
    busy_site: Site, served: House, steady: ExperimentSpec, wait_for: Callable, alive: Callable
) -> None:
    spec = steady.with_settings(["first_seed=60"])
    house, cluster = busy_site.house, busy_site.cluster
    here, there = served.store.submit(spec), house.store.submit(spec)
    child = house.running_pid(there, step=200)
    workers = [name for name in cluster.processes if name != "scheduler"]
    cluster.kill("scheduler")
    assert busy_site.engine is not None
    assert busy_site.engine.wait(60) == 1
    assert "is gone or cannot be used" in busy_site.said().splitlines()[-1]
    for name in workers:
        cluster.processes.pop(name).wait(60)
    wait_for(lambda: not alive(child), "its workers end, and their children", 10)
    cluster.start()
    cluster.add("three")
    busy_site.start_engine()
    assert house.finish(there) == served.finish(here) == "done"
    assert house.series(there) == served.series(here)
