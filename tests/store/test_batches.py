"""Many values in one query: all of them are asked for, by few statements."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.store.batches import MOST, batches


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 63, 64, 65, 129, 5000])
def test_every_value_is_in_a_batch_of_one_of_seven_sizes(count: int) -> None:
    found = list(batches(range(count)))
    assert {value for some in found for value in some} == set(range(count))
    sizes = [len(some) for some in found]
    assert set(sizes) <= {2**power for power in range(7)}
    assert sum(sizes) < count + MOST


def test_what_is_asked_about_more_and_more_jobs_takes_few_statements(
    store: Store, spec: ExperimentSpec
) -> None:
    there = store.experiment(store.submit(spec)).jobs[0].id
    asked = set[str]()

    def remember(_connection, _cursor, statement: str, *_rest) -> None:
        asked.add(statement)

    event.listen(store.database.engine, "before_cursor_execute", remember)
    for count in range(1, 3000, 50):
        ids = set(range(there, there + count))
        assert store.failed_among(ids) == store.finished_among(ids) == ids - {there}
    assert len(asked) < 20
