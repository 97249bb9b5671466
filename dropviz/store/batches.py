"""Many values for one query, in batches of few sizes.

Each number of bound values is a statement of its own, and a connection keeps the last hundred of them: some 200 bytes a value. So a
query whose list grows with what the store holds takes more memory each time it is asked, and one day more values than SQLite allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

MOST = 64

T = TypeVar("T", int, str)


def batches(values: Iterable[T]) -> Iterator[list[T]]:
    """All values, in lists of 1, 2, 4 … 64; the last list is filled up with its last value again."""
    ordered = sorted(values)
    for start in range(0, len(ordered), MOST):
        part = ordered[start : start + MOST]
        size = 1 << (len(part) - 1).bit_length()
        yield part + part[-1:] * (size - len(part))
