"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL for all tests of this process."""
    if not postgres.installed():
        pytest.skip(postgres.MISSING)
    server = postgres.Server()
    yield server
    server.stop()
