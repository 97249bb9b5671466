"""A sweep as its viewers see it: read once for all of them, and of what changed only that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import plotly.graph_objects as go

from dropviz.charts.against_knob import Line, against_knob
from dropviz.charts.heat_map import heat_map
from dropviz.charts.small_multiples import small_multiples
from dropviz.store import CellState, Store
from dropviz.sweeps import Cell, Measure, Panel, Sweep, measure_named, measured, metrics_read, shown_value
from dropviz.sweeps.measures import Finals
from dropviz.sweeps.words import bounds, number
from dropviz.web.figures import Link, Table
from dropviz.web.progress import last_line

WAITING = {"queued": "waiting", "running": "running", "stalled": "running", "paused": "paused"}
ETA_FRACTION, ETA_SECONDS = 0.05, 3.0
MOST_READERS = 32
LOOK_SECONDS = 0.3  # for which all viewers, and all parts of a page, share one look at the store
CELLS_A_SECOND = 100  # a picture of more is drawn anew at most every so many seconds, as it travels whole
Shown = Sequence[tuple[Measure, Sequence[Cell]]]
Known = tuple[str, int]  # an experiment, and how many of its jobs are done


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a sweep is.

    Attributes:
        state: ``running`` while anything runs or waits; else ``stopped`` where cells are missing, ``done`` otherwise.
        cells: All of them, with those that are ``done``, ``cached`` before, ``failed``, and ``stopped``.
        fraction: Of all updates.
        eta: Seconds until all is there, once that can be told.
    """

    state: str
    cells: int
    done: int
    cached: int
    failed: int
    stopped: int
    fraction: float
    eta: float | None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as JSON, its table, and what it shows in a sentence."""

    figure: str
    table: Table
    title: str
    subtitle: str
    alt: str


class SweepReader:
    """Reads one sweep; safe to share between threads.

    Raises:
        UnknownSweep: There is none of this id.
        SpecError: This version of the program cannot read it.
    """

    def __init__(self, store: Store, sweep_id: str) -> None:
        self.store, self.id = store, sweep_id
        row = store.sweeps.get(sweep_id)
        self.sweep: Sweep = row.sweep
        self.owner = row.owner
        self._lock = threading.Lock()
        self._revision: tuple[int, ...] | None = None
        self._states: list[CellState | None] = []
        self._finals: dict[int, tuple[Known, Finals]] = {}
        self._kept: dict[tuple[int, str], tuple[Known, Cell]] = {}
        self._pictures: dict[str, Picture] = {}
        self._metrics = metrics_read(self.sweep.base)
        self._patience = len(self.sweep.cells()) / CELLS_A_SECOND
        self._drawn_at, self._stale = float("-inf"), False
        self._seen: tuple[float, float] | None = None
        self._looked_at = float("-inf")

    def states(self) -> list[CellState | None]:
        """Of each cell; None where it was never queued."""
        with self._lock:
            return self._look()

    def look_again(self) -> None:
        """Somebody just stopped or resumed it: what is known is not how it is any more."""
        self._looked_at = float("-inf")

    def _look(self) -> list[CellState | None]:
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return self._states
        self._looked_at = now
        revision = self.store.sweeps.revision(self.id)
        if revision != self._revision:
            found: dict[int, CellState] = {cell.position: cell for cell in self.store.sweeps.states(self.id)}
            states = [found.get(position) for position in range(len(self.sweep.cells()))]
            self._stale |= [_shown(one) for one in states] != [_shown(one) for one in self._states]
            self._revision, self._states = revision, states
        if self._stale and (self._ended() or time.monotonic() - self._drawn_at >= self._patience):
            self._pictures, self._stale, self._drawn_at = {}, False, time.monotonic()
        return self._states

    def _ended(self) -> bool:
        return not any(cell and cell.live for cell in self._states)

    def progress(self) -> Progress:
        """How far it is."""
        with self._lock:
            states = [cell for cell in self._look() if cell]
            total = len(self.sweep.cells())
            step, steps = sum(cell.step for cell in states), sum(cell.total for cell in states) or 1
            counts = {
                state: sum(cell.state == state for cell in states) for state in ("done", "failed", "stopped")
            }
            live = not self._ended()
            fraction = step / steps if len(states) == total else 0.0
            incomplete = counts["stopped"] or len(states) < total
            return Progress(
                state="running" if live else "stopped" if incomplete else "done",
                cells=total,
                cached=sum(cell.cached and cell.state == "done" for cell in states),
                fraction=fraction,
                eta=self._eta(fraction) if live else None,
                **counts,
            )

    def _eta(self, fraction: float) -> float | None:
        now = time.monotonic()
        if self._seen is None or fraction < self._seen[1]:
            self._seen = (now, fraction)
        since, before = self._seen
        gone, passed = fraction - before, now - since
        if gone <= 0 or (gone < ETA_FRACTION and passed < ETA_SECONDS):
            return None
        return passed * (1 - fraction) / gone

    def failures(self) -> list[str]:
        """Which cells failed, and why."""
        places = self.sweep.places()
        return [
            f"{self.sweep.place_title(places[cell.position])}: {_reason(cell)}"
            for cell in self.states()
            if cell and cell.state == "failed"
        ]

    def cells(self, measure: Measure) -> list[Cell]:
        """What each cell shows, as far as it is computed."""
        with self._lock:
            return self._cells(measure)

    def _cells(self, measure: Measure) -> list[Cell]:
        return [self._cell(position, state, measure) for position, state in enumerate(self._look())]

    def _cell(self, position: int, state: CellState | None, measure: Measure) -> Cell:
        if state is None:
            return Cell(reason="not queued")
        known = (state.experiment, state.done)
        kept = self._kept.get((position, measure.name))
        if kept is None or kept[0] != known:
            cell = measured(measure, self._final(position, known)) if state.done else Cell()
            kept = self._kept[position, measure.name] = (known, cell)
        found = kept[1]
        if found.interval is not None or state.state == "done":
            return found
        return Cell(
            reason=_reason(state) if state.state == "failed" else WAITING.get(state.state, state.state)
        )

    def _final(self, position: int, known: Known) -> Finals:
        """The last values that measures read; kept, so that another measure costs no reading."""
        kept = self._finals.get(position)
        if kept is None or kept[0] != known:
            found = self.store.finals(known[0], self._metrics)
            kept = self._finals[position] = (known, found)
        return kept[1]

    def map(self, name: str) -> Picture:
        """The map of a measure over two knobs.

        Raises:
            SpecError: There is no such measure.
        """
        measure = measure_named(self.sweep.base, name)

        def draw(cells: Shown) -> go.Figure:
            return heat_map(self.sweep, *cells[0])

        return self._picture(f"map/{name}", [measure], measure.title, draw)

    def lines(self, panel: Panel) -> Picture:
        """Measures of one unit over one knob, or over the first of two in small multiples."""

        def draw(cells: Shown) -> go.Figure:
            if len(self.sweep.axes) == 2:
                return small_multiples(self.sweep, cells)
            lines = [Line(measure=measure, cells=found) for measure, found in cells]
            return against_knob(self.sweep, lines, panel.title)

        by = f", by {self.sweep.axes[1].key}" if len(self.sweep.axes) == 2 else ""
        return self._picture(f"lines/{panel.name}", panel.measures, panel.title + by, draw)

    def _picture(
        self, key: str, measures: Sequence[Measure], title: str, draw: Callable[[Shown], go.Figure]
    ) -> Picture:
        with self._lock:
            self._look()
            if key not in self._pictures:
                self._pictures[key] = self._drawn(measures, title, draw)
            return self._pictures[key]

    def _drawn(self, measures: Sequence[Measure], title: str, draw: Callable[[Shown], go.Figure]) -> Picture:
        cells = {measure.name: self._cells(measure) for measure in measures}
        first = measures[0]
        figure = draw([(measure, cells[measure.name]) for measure in measures])
        there = sum(cell.interval is not None for found in cells.values() for cell in found)
        axes = " and ".join(self.sweep.titles())
        return Picture(
            figure=str(figure.to_json()),
            table=self._table(measures, cells),
            title=title,
            subtitle=first.note if len(measures) == 1 else "mean over seeds, 95 % intervals",
            alt=f"{title} against {axes}: {there} of {len(measures) * len(cells[first.name])} numbers are there.",
        )

    def _table(self, measures: Sequence[Measure], cells: dict[str, list[Cell]]) -> Table:
        several = len(measures) > 1
        columns = [axis.key for axis in self.sweep.axes] + (["arm"] if several else [])
        rows = []
        for position, (place, state) in enumerate(zip(self.sweep.places(), self._states, strict=True)):
            for measure in measures:
                cell = cells[measure.name][position]
                said = number(measure, cell.interval.estimate) if cell.interval else cell.reason
                label = [measure.label] if several else []
                run = Link(text="open", href=f"lab?run={state.experiment}") if state else ""
                rows.append(
                    [*map(shown_value, place), *label, said, bounds(measure, cell), str(cell.n or ""), run]
                )
        return Table(
            columns=[*columns, measures[0].title if not several else "mean", "95 % interval", "n", "run"],
            rows=rows,
        )


def _shown(state: CellState | None) -> tuple[str, str, int, str] | None:
    """What a picture depends on."""
    return (state.experiment, state.state, state.done, state.error) if state else None


def _reason(state: CellState) -> str:
    arm, _, error = state.error.partition(": ")
    return f"{arm} failed. {last_line(error)}"


@lru_cache(maxsize=MOST_READERS)
def sweep_reader(store: Store, sweep_id: str) -> SweepReader:
    """The reader of a sweep, which all its viewers share.

    Raises:
        UnknownSweep: There is none of this id.
        SpecError: This version of the program cannot read it.
    """
    return SweepReader(store, sweep_id)
