"""The short form of the random fault run; ``make faults`` is the long one."""

from __future__ import annotations

from tests.faults.random import fault_run

FAULTS, SECONDS = 25, 60.0


def test_nothing_is_lost_or_doubled_whatever_happens() -> None:
    with fault_run(seed=3) as run:
        run.go(FAULTS, SECONDS)
        print("\n".join(run.report()))
        assert run.faults.total() > 0
