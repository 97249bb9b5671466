"""A child that is frozen in the middle of a write: everybody else may write again, and its run loses nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dropviz.engine.holder import LOOK_SECONDS, Holder
from dropviz.experiment import ExperimentSpec
from dropviz.store.records import LEASE_SECONDS
from tests.houses import House

LOOKS = int(LEASE_SECONDS / LOOK_SECONDS)


def test_who_is_found_at_every_look_is_named_after_the_time_that_a_child_may_be_silent() -> None:
    holder = Holder(lambda: 7)
    assert [holder.look() for _ in range(LOOKS + 2)] == [None] * LOOKS + [7, 7]


def test_who_lets_go_once_or_was_another_is_not_named() -> None:
    found = iter([7] * LOOKS + [None] + [7] * LOOKS + [8] * LOOKS + [None] * (LOOKS + 5))
    holder = Holder(lambda: next(found))
    assert [holder.look() for _ in range(4 * LOOKS + 5)] == [None] * (4 * LOOKS + 5)


def frozen_in_a_write(house: House, pid: int) -> None:
    """Stop a child in a moment in which nobody else may write."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        os.kill(pid, signal.SIGSTOP)
        while (stat := Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) not in "Tt":
            assert stat != "Z"
        if house.store.database.writer() == pid:
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.002)
    raise AssertionError("the child never wrote when it was stopped")


@pytest.mark.slow
def test_a_child_that_is_frozen_in_a_write_is_killed_and_its_run_ends_bit_identical(
    served: House, long: ExperimentSpec, wait_for: Callable, alive: Callable
) -> None:
    expected = served.store.submit(long, fresh=True)
    assert served.finish(expected) == "done"
    view_id = served.store.submit(long, fresh=True)
    pid = served.running_pid(view_id)
    frozen_in_a_write(served, pid)
    other = served.store.submit(long, fresh=True)  # waits, and is written
    assert not alive(pid)
    assert served.finish(view_id) == "done"
    assert served.job(view_id).attempt == 2
    assert served.series(view_id) == served.series(expected)
    served.store.request(other, "stop")
