"""Pruning by size ends at its limit on each kind of store, leaves what is new, says what it cannot free, and is one process's."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from dropviz.commands.upkeep.prune import prune
from dropviz.engine.daily import DailyPrune
from dropviz.experiment import ExperimentSpec
from dropviz.store import Point, Store
from dropviz.store.pruning import DAY, Rules, carry_out, plan
from dropviz.store.pruning.lock import pruning
from tests.houses import wait_until
from tests.store import ageing
from tests.store.ageing import MONTH, OLD, pruned, there

Ran = Callable[..., str]


@pytest.fixture
def ran(store: Store, spec: ExperimentSpec) -> Ran:
    return partial(ageing.ran, store, spec)


def test_once_the_rest_is_small_enough_nothing_more_goes_however_often_one_looks(
    store: Store, ran: Ran
) -> None:
    views = [ran(f"p=0.{place + 1}", ago=OLD - place * DAY) for place in range(6)]
    total = plan(store, Rules()).total
    planned = pruned(store, Rules(bytes=total // 2))  # which looks a second time
    assert planned.experiments == tuple(views[: len(planned.experiments)])
    assert 0 < len(planned.experiments) < 6
    left = plan(store, Rules())
    assert left.total == planned.total - planned.bytes <= total // 2
    assert left.total + planned.bytes // len(planned.experiments) > total // 2, "and one less is not enough"


def test_what_is_new_is_not_deleted_for_its_size(
    store: Store, ran: Ran, later: Callable[[float], None]
) -> None:
    old, new = ran("p=0.2"), ran("p=0.3", ago=0.0)
    planned = pruned(store, Rules(bytes=0))
    assert planned.experiments == (old,)
    assert there(store, new)
    assert not plan(store, Rules(bytes=10**9)).warnings
    later(2 * DAY)
    assert plan(store, Rules(bytes=0)).experiments == (new,)


def test_it_is_said_that_more_stays_than_may_and_why(
    store: Store,
    ran: Ran,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran("p=0.3", ago=0.0)
    (warning,) = plan(store, Rules(bytes=12_000)).warnings  # of which its estimate takes the half
    assert "stay, and the limit is 12.0 kB: what ended within a day is not deleted for its size" in warning
    ran("p=0.4", pinned=True)
    (warning,) = plan(store, Rules(bytes=12_000)).warnings
    assert warning.startswith("What pruning never deletes (pinned, shared, of a class, under way) takes")
    assert prune(Rules(bytes=12_000), dry_run=True, yes=False) == 0
    assert f"Warning: {warning}" in capsys.readouterr().out
    monkeypatch.setenv("DROPVIZ_KEEP_BYTES", "12000")
    with caplog.at_level(logging.WARNING):
        DailyPrune(store).run()
    assert warning in caplog.text


def test_weights_that_go_by_age_are_counted_before_runs_go_by_size(
    store: Store, spec: ExperimentSpec, ran: Ran
) -> None:
    old, newer = ran(), ran("p=0.2", ago=10 * DAY)
    other = store.submit(spec, owner="other")  # the old one's results: so these stay, without their weights
    by_age = plan(store, MONTH)
    planned = pruned(store, Rules(days=30, bytes=by_age.total - by_age.bytes))
    assert planned.experiments == by_age.experiments == (old,)
    assert planned.bytes > 8000
    assert planned.weights == tuple(job.id for job in store.experiment(other).jobs)
    assert (there(store, newer), there(store, other)) == (True, True)


def test_what_jobs_are_said_to_take_is_about_what_they_take_of_a_file(
    file_store: Store, spec: ExperimentSpec
) -> None:
    empty = used(file_store)
    for number in range(30):
        file_store.submit(spec.with_settings(["seeds=16", f"first_seed={100 * number}"]), owner=f"{number}")
        claim = file_store.claim("worker")
        assert claim is not None
        file_store.begin(claim.job_id, claim.attempt, seq=-1, step=0, pid=1, device="cpu")
        values = np.arange(16.0)
        records = [Point(seq=seq, step=seq, name="train/loss", values=values) for seq in range(50)]
        file_store.append(claim.job_id, claim.attempt, records)
        file_store.finish(claim.job_id, claim.attempt, "done")
    assert 0.7 < plan(file_store, Rules()).total / (used(file_store) - empty) < 1.4


def used(store: Store) -> int:
    """The pages of a file that hold something."""
    with store.database.read() as connection:
        pages, free, size = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


def test_one_process_prunes_at_a_time(store: Store, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    view_id, other = ran(), Store.open()
    monkeypatch.setenv("DROPVIZ_KEEP_DAYS", "30")
    with pruning(store.database) as first, pruning(other.database) as second:
        assert (first, second) == (True, False)
        DailyPrune(other).run()
        with pytest.raises(ValueError, match="Another process prunes this store at the moment"):
            prune(MONTH, dry_run=False, yes=True)
        assert prune(MONTH, dry_run=True, yes=False) == 0, "who only looks is in nobody's way"
        assert there(store, view_id)
    DailyPrune(other).run()
    assert not there(store, view_id)
    other.close()


HOLDER = """
import sys
from dropviz.store import Store
from dropviz.store.pruning.lock import pruning
with pruning(Store.open().database) as alone:
    print(alone, flush=True)
    sys.stdin.readline()
"""


def test_who_is_killed_while_it_prunes_leaves_it_to_others(store: Store) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], **pipes)  # type: ignore[call-overload]
    assert holder.stdout.readline() == "True\n"
    with pruning(store.database) as alone:
        assert not alone
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    wait_until(lambda: _alone(store), "the server sees that the connection is gone")


def _alone(store: Store) -> bool:
    with pruning(store.database) as alone:
        return alone


def test_an_error_gives_the_lock_back(store: Store) -> None:
    with pytest.raises(RuntimeError), pruning(store.database):
        raise RuntimeError
    wait_until(lambda: _alone(store), "the server sees that the connection is gone")


def test_what_an_interrupted_pruning_left_is_finished_by_the_next(store: Store, ran: Ran) -> None:
    views = [ran(f"p=0.{place + 1}", ago=OLD - place * DAY) for place in range(4)]
    limit = Rules(bytes=plan(store, Rules()).total // 2)
    planned = plan(store, limit)
    cut = type(planned)(experiments=planned.experiments[:1])  # no job of it
    carry_out(store, cut)
    assert not there(store, views[0])
    again = pruned(store, limit)
    assert {*cut.experiments, *again.experiments} == set(planned.experiments)
    assert again.jobs == planned.jobs
