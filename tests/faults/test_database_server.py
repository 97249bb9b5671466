"""A PostgreSQL that ends the connection of a process at a moment that a test chooses."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from dropviz.experiment import ExperimentSpec
from tests import postgres
from tests.faults.site import Site

WAITING = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = '{}.results'::regclass"


@pytest.fixture
def served(postgres_server: postgres.Server, open_site: Callable[..., Site]) -> Site:
    """A site with one server, on a PostgreSQL."""
    site = open_site(database=postgres_server)
    site.serve()
    site.answering()
    return site


def test_a_child_whose_connection_ends_before_it_trains_asks_again(
    served: Site,
    postgres_server: postgres.Server,
    long: ExperimentSpec,
    undisturbed: Callable[[Site, str], None],
) -> None:
    with served.store.database.read() as here:
        place = here.exec_driver_sql("SELECT current_schema()").scalar_one()
    url, asking = postgres_server.url().replace("+psycopg", ""), WAITING.format(place)
    with psycopg.connect(url, autocommit=True) as connection, connection.transaction():
        with served.frozen(served.process("engine")):
            view_id = served.store.submit(long, fresh=True)
            connection.execute(f"LOCK TABLE {place}.results IN ACCESS EXCLUSIVE MODE")
        # The child asks this table before it trains; nobody else does, as nobody looks at the page.
        served.wait(lambda: connection.execute(asking).fetchall(), "the child asks")
        (child,) = connection.execute(asking).fetchall()
        assert connection.execute("SELECT pg_terminate_backend(%s)", child).fetchone() == (True,)
        served.wait(lambda: child not in connection.execute(asking).fetchall(), "its connection has ended")
    undisturbed(served, view_id)
    assert served.store.experiment(view_id).jobs[0].attempt == 1
