"""The short form of the random fault run; ``make faults`` is the long one."""

from __future__ import annotations

import pytest

from tests.faults.random import fault_run

FAULTS, SECONDS, FEWEST = 25, 60.0, 5


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_nothing_is_lost_or_doubled_whatever_happens(where: str, request: pytest.FixtureRequest) -> None:
    database = request.getfixturevalue("postgres_server") if where == "postgresql" else None
    with fault_run(3, database) as run:
        run.go(FAULTS, SECONDS)
        print("\n".join(run.report()))
        assert run.faults.total() >= FEWEST
