"""compose.cluster.yaml, with Debian's PostgreSQL in the place of the published image."""

from __future__ import annotations

import json
import secrets
from functools import partial

from tests.image.backups import take_and_bring_back
from tests.image.engine import compose, docker, done, until

PAGE, ENGINES, DATABASE = (
    "dropviz-cluster-page-1",
    ["dropviz-cluster-engine-1", "dropviz-cluster-engine-2"],
    "dropviz-cluster-database-1",
)
RUN = "dropviz run --preset classroom --arms none,dropout --seeds 2 --set train.steps=40 --out /tmp/out"
WORKERS = "import json; from dropviz.store import Store; print(len(Store.open().workers()))"
STATES = "import json; from dropviz.store import Store; print(json.dumps(sorted([each.id, each.state] for each in Store.open().experiments())))"


def cluster() -> None:
    """Two engines and a page on one database: both are known, a run is done by them, and by the one that is left."""
    secret = secrets.token_urlsafe(16)
    chosen = {"POSTGRES_PASSWORD": secret, "POSTGRES_IMAGE": "database", "DROPVIZ_ENGINES": "2"}
    run = partial(compose, file="compose.cluster.yaml", **chosen)
    run("up", "--detach", "--no-build", "--wait")
    print("\ncompose.cluster.yaml:")
    until(lambda: workers() == len(ENGINES), "the page knows both engines")
    docker("exec", PAGE, *RUN.split())
    docker("stop", ENGINES[0])
    docker("exec", PAGE, *RUN.split(), "--set", "first_seed=10")
    print("  two engines and a page on PostgreSQL: a run, and one more after an engine was stopped")
    assert secret not in docker("logs", PAGE) + docker("logs", ENGINES[1]) + docker("logs", DATABASE)
    reach = "import socket; socket.create_connection(('database', 5432), 3)"
    assert done("exec", PAGE, "python", "-c", reach)
    assert docker("port", DATABASE) == docker("port", ENGINES[1]) == ""
    print("  the password is in no log; neither the database nor an engine is reached from outside")
    before = docker("exec", PAGE, "python", "-c", STATES)
    take_and_bring_back("compose.cluster.yaml", taking=2, bringing=3, **chosen)
    until(lambda: workers() == len(ENGINES), "the page knows both engines again")
    assert docker("exec", PAGE, "python", "-c", STATES) == before
    docker("exec", PAGE, *RUN.split(), "--set", "first_seed=20")
    print("  backed up and restored by the document's commands: both runs are there, and one more is done")
    run("down", "--volumes")


def workers() -> int:
    """How many engines the store knows of."""
    return int(json.loads(docker("exec", PAGE, "python", "-c", WORKERS)))
