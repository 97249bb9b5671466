"""What a page costs the server: processor time, wall time and bytes of a script run, first and again, by a real connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http.client import HTTPConnection

from benchmarks.filled import fill
from benchmarks.measure import Row, Summary, temporary_data
from benchmarks.served import server
from benchmarks.tab import ME, Tab
from dropviz.store import Store

MOST_MILLISECONDS = 150  # processor time of a refresh of Compare with everything in it


def measure(*, quick: bool) -> list[Row]:
    """The Lab with its example, and Compare with 50 runs of 1,000 points × 20 metrics of two arms (of 10 × 100, quick)."""
    runs, points, repetitions = (10, 100, 3) if quick else (50, 1000, 9)
    with temporary_data():
        store = Store.open()
        ids = fill(store, ME, runs=runs, points=points, metrics=20)
        store.close()
        from dropviz import settings

        with server(settings.data_dir()) as (port, process):
            _warm(port, process)
            what = f"Compare, {runs} runs of {points:,} points × 20 metrics"
            return [
                *_rows("Lab, its example", lambda: Tab.open(port, process, "lab"), repetitions),
                *_rows(
                    what,
                    lambda: Tab.open(port, process, "compare", f"runs={','.join(ids)}"),
                    repetitions,
                    target=None if quick else MOST_MILLISECONDS,
                ),
            ]


def _warm(port: int, process: int) -> None:
    """What only the first visitor of a server pays for: modules, carried results, compiled pages."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/lab")
    connection.getresponse().read()
    for page in ("lab", "compare"):
        Tab.open(port, process, page).run()


def _rows(name: str, opened: Callable[[], Tab], repetitions: int, target: float | None = None) -> list[Row]:
    tab = opened()
    first, again = tab.run(), [tab.run() for _ in range(repetitions)]
    tab.connection.close()
    cpu = _summary([one.cpu for one in again])
    promised = {} if target is None else {"target": f"≤ {target:g} ms", "met": cpu.median <= target}
    return [
        Row(name=f"{name}: CPU of the first script run", value=_summary([first.cpu]), unit="ms"),
        Row(name=f"{name}: CPU of a refresh", value=cpu, unit="ms", **promised),  # type: ignore[arg-type]
        Row(name=f"{name}: time of a refresh", value=_summary([one.wall for one in again]), unit="ms"),
        Row(name=f"{name}: bytes, first", value=_summary([float(first.bytes)]), unit="bytes"),
        Row(
            name=f"{name}: bytes of a refresh",
            value=_summary([float(one.bytes) for one in again]),
            unit="bytes",
        ),
    ]


def _summary(values: Sequence[float]) -> Summary:
    return Summary.of(list(values))
