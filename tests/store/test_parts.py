"""What the parts of a store take of the disk."""

from __future__ import annotations

from pathlib import Path

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.store.parts import Parts
from tests.store.ageing import ran


def test_a_database_takes_something_on_each_kind_of_store(
    store: Store, spec: ExperimentSpec, data: Path
) -> None:
    view_id = ran(store, spec)
    (job,) = store.experiment(view_id).jobs
    sizes = Parts.of(store.database).sizes()
    with store.database.read() as connection:
        if connection.dialect.name == "postgresql":
            server = "SELECT sum(pg_database_size(oid)) FROM pg_database"
            assert 10**6 < sizes["database"] < int(connection.exec_driver_sql(server).scalar_one())
        else:
            files = [path for path in data.iterdir() if path.name.startswith("dropviz.db")]
            assert sizes["database"] == sum(path.stat().st_size for path in files) > 0
    weights = list((store.weights.folder / str(job.id)).iterdir())
    assert sizes["weights"] == sum(path.stat().st_size for path in weights) > 8000
