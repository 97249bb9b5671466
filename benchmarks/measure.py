"""What every benchmark shares: taking turns, medians, one row of the table, a data directory that goes away."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

POLL_SECONDS = 0.002
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A median and the quartiles around it."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: list[float]) -> Summary:
        """The three quartiles of some repetitions."""
        lower, median, upper = np.percentile(values, [25, 50, 75])
        return cls(median=float(median), lower=float(lower), upper=float(upper))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        name: What was measured.
        value: Its size in ``unit``.
        ratios: What it is compared with → this divided by that.
        target: What the ratio or the value should be, in words; empty where nothing is promised.
        met: Whether it is; None without a target.
    """

    name: str
    value: Summary
    unit: str
    ratios: Mapping[str, Summary] = field(default_factory=dict)
    target: str = ""
    met: bool | None = None


Rates = dict[str, list[float]]
T = TypeVar("T")


def in_turns(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Call each contender once a round and keep what it returns.

    Each round begins with another one, so that none always follows the same neighbour. Whatever disturbs the
    machine for a while disturbs all of them, and ``ratio`` pairs the results of a round.
    """
    names = list(contenders)
    results: dict[str, list[T]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn * len(names) // rounds
        for name in names[first:] + names[:first]:
            results[name].append(contenders[name]())
    return results


def ratio(results: Rates, name: str, against: str) -> Summary:
    """The quotient of two contenders, formed within each round."""
    return Summary.of([one / other for one, other in zip(results[name], results[against], strict=True)])


def steps_per_second(update: Callable[[], object], steps: int) -> float:
    """Calls of ``update`` per second of processor time, over so many.

    Nothing here waits for anything, so on an idle machine this is the time on the wall; on a busy one it is
    what the work costs, and not what the neighbours left over.
    """
    started = time.process_time()
    for _ in range(steps):
        update()
    return steps / (time.process_time() - started)


def wait_until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """Ask until the condition holds; returns the moment (``time.perf_counter``) at which it did.

    Raises:
        TimeoutError: It did not within so many seconds.
    """
    deadline = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} seconds")
        time.sleep(POLL_SECONDS)
    return time.perf_counter()


@contextmanager
def temporary_data() -> Iterator[Path]:
    """A data directory of its own for this process and those that it starts; removed afterwards."""
    hidden = {name: os.environ.pop(name) for name in ("DROPVIZ_DATA", "DROPVIZ_STORE") if name in os.environ}
    try:
        with tempfile.TemporaryDirectory(prefix="dropviz-bench-", ignore_cleanup_errors=True) as folder:
            os.environ["DROPVIZ_DATA"] = folder
            yield Path(folder)
    finally:
        os.environ.pop("DROPVIZ_DATA", None)
        os.environ.update(hidden)


def say(text: str) -> None:
    """Tell the terminal what is going on; the table alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)
