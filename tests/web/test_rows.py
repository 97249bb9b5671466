"""Packed rows: a list of rows in all that is asked of it, and small."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dropviz.store import Point
from dropviz.web.aggregate import Aggregate
from dropviz.web.rows import Row, Rows

PLACES = st.tuples(st.integers(0, 20), st.integers(0, 200), st.integers(0, 10**9))
NUMBERS = st.tuples(*[st.none() | st.floats(allow_nan=False, allow_infinity=False)] * 3)
ROWS = st.lists(st.builds(lambda places, numbers: (*places, *numbers), PLACES, NUMBERS), max_size=30)
PLACE = st.none() | st.integers(-40, 40)


def packed(rows: list[Row]) -> Rows:
    found = Rows()
    for row in rows:
        found.append(row)
    return found


@given(ROWS, PLACE, PLACE, st.sampled_from([None, 1, 3, -1]))
def test_they_are_a_list_of_rows(
    rows: list[Row], start: int | None, stop: int | None, stride: int | None
) -> None:
    found = packed(rows)
    assert list(found) == rows
    assert len(found) == len(rows)
    assert found[start:stop:stride] == rows[start:stop:stride]
    assert [found[-1 - at] for at in range(len(rows))] == rows[::-1]


@given(ROWS)
def test_they_are_put_in_order_of_their_steps_and_else_stay_as_they_came(rows: list[Row]) -> None:
    found = packed([(*row[:2], row[2] % 3, *row[3:]) for row in rows])
    expected = sorted(found, key=lambda row: row[2])
    found.sort()
    assert list(found) == expected


def test_what_a_watched_run_keeps_of_a_point_is_small() -> None:
    def points(name: str) -> list[Point]:
        return [Point(seq=0, step=step, name=name, values=np.full(3, 0.1 * step)) for step in range(1000)]

    found = Aggregate({"none": [(1, 0), (1, 1), (1, 2)]}, stride=1, interval=1, last_step=999)
    found.add(1, points("train/loss"))  # whatever is made once is there
    gc.collect()
    tracemalloc.start()
    try:
        for metric in range(20):
            found.add(1, points(f"train/{metric}"))
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(found.rows) == 21_000
    assert kept / 20_000 < 60, "bytes a row; as tuples, with a set of what is complete, 360"
