"""A class on one small server: students who press Run at once and viewers of live runs, over real websockets and HTTP."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.load.processes import ROLES
from benchmarks.load.scene import Crowd, Observed, observe
from benchmarks.measure import Row, Summary, say

MOST_AGE, MOST_WAIT = 2.0, 50.0  # seconds; milliseconds


def measure(*, quick: bool) -> list[Row]:
    """Thirty students open the Lab at once, choose the classroom preset with a setting of their own, and press Run at once.

    A hundred viewers poll live runs once a second, the students' own boards among them, until every run is done: quick with
    four students and twelve viewers. What is measured is measured by the clients, on the same cores as the server.
    """
    return rows(observe(Crowd(students=4, viewers=12) if quick else Crowd()))


def rows(found: Observed) -> list[Row]:
    """What a crowd saw, and what the server took for it."""
    seen = found.findings
    for line in [*seen.errors[:20], *found.warnings[:20]]:
        say(f"  {line}")
    return [
        *_percentiles("a point's age when a viewer sees it", "s", seen.ages, MOST_AGE),
        *_percentiles("a poll", "ms", [1000 * wait for wait in seen.waits], MOST_WAIT),
        *_percentiles("Run → the page's answer", "s", seen.clicks),
        *_percentiles("a page opened → all of it", "s", seen.opens),
        *_percentiles("a viewer's page opened → all of it", "s", seen.visits),
        *_percentiles("any other run of a page's script", "s", seen.scripts),
        *_percentiles("Run → the first point seen", "s", seen.firsts),
        _one("runs launched", seen.runs),
        _one("pages open at once, by websockets, most", max(look.sessions for look in found.looks)),
        _one("errors the clients met", len(seen.errors), target="0", met=not seen.errors),
        _one("warnings and errors in the server's messages", len(found.warnings)),
        *_shares(found),
    ]


def _percentiles(name: str, unit: str, values: Sequence[float], most: float | None = None) -> list[Row]:
    if not values:
        return [_one(f"{name}: none", 0)]
    middle, high, higher, largest = np.percentile(values, [50, 95, 99, 100])
    promised = {} if most is None else {"target": f"≤ {most:g} {unit}", "met": bool(high <= most)}
    return [
        _one(f"{name}, median of {len(values):,}", middle, unit),
        _one(f"{name}, 95th percentile", high, unit, **promised),  # type: ignore[arg-type]
        _one(f"{name}, 99th percentile", higher, unit),
        _one(f"{name}, largest", largest, unit),
    ]


def _shares(found: Observed) -> list[Row]:
    first, last = found.looks[0], found.looks[-1]
    seconds = last.at - first.at
    shares = {role: last.processes[role].cpu - first.processes[role].cpu for role in ROLES}
    shares |= {"training processes": found.children, "this benchmark's clients": found.findings.cpu}
    shares["whatever else ran on this machine"] = last.machine - first.machine - sum(shares.values())
    memory = [
        _one(f"{role}: resident memory, {when}", look.processes[role].megabytes, "MB")
        for role in ROLES
        for when, look in (("before", first), ("at the end", last))
    ]
    return [
        _one("time until the end", seconds, "s"),
        *(_one(f"{name}: CPU", 100 * used / seconds, "% of a core") for name, used in shares.items()),
        *memory,
        _one("the store's write-ahead log, largest", max(look.log for look in found.looks), "MB"),
    ]


def _one(name: str, value: float, unit: str = "", target: str = "", met: bool | None = None) -> Row:
    return Row(name=name, value=Summary.of([float(value)]), unit=unit, target=target, met=met)
