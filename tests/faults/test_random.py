"""The short form of the random fault run; ``make faults`` is the long one."""

from __future__ import annotations

import pytest

from tests.faults.random import fault_run
from tests.faults.site import WORKERS

FAULTS, SECONDS, FEWEST = 25, 40.0, 3


@pytest.mark.parametrize("where", ["sqlite", "postgresql", pytest.param("cluster", marks=pytest.mark.slow)])
def test_nothing_is_lost_or_doubled_whatever_happens(where: str, request: pytest.FixtureRequest) -> None:
    database = None if where == "sqlite" else request.getfixturevalue("postgres_server")
    with fault_run(3, database, WORKERS if where == "cluster" else ()) as run:
        run.go(FAULTS, SECONDS)
        print("\n".join(run.report()))
        assert run.faults.total() >= FEWEST
