"""``dropviz sweep``: a sweep from the command line, its progress, and its results as files. Run again, it goes on where it was."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dropviz import settings
from dropviz.commands.headless import (
    FAILED,
    LOOK_SECONDS,
    REPORT_SECONDS,
    STOPPED,
    check_device,
    estimate_to_end,
    keep,
    writing,
)
from dropviz.duration import shown_seconds
from dropviz.engine import EngineKeeper
from dropviz.engine.stopping import Stopping, stop_signals
from dropviz.experiment import ExperimentSpec, SpecError, load_spec, preset, preset_names
from dropviz.export import versions, whole, write_json
from dropviz.store import CellState, Store
from dropviz.sweeps import (
    Cell,
    Measure,
    Sweep,
    Value,
    check_sweep,
    measured,
    measures,
    question,
    read_vary,
    representatives,
    shown_value,
    sweep_duration,
)
from dropviz.sweeps.words import told

FILES = ("sweep.json", "cells.parquet", "values.parquet")
MOST_LINES = 40


def asked_sweep(base: str | None, vary: Sequence[str], named: str | None, changes: Sequence[str]) -> Sweep:
    """The sweep that a command line asks for.

    Raises:
        SpecError: It asks for none, or for one that cannot be run.
    """
    if named is not None:
        if base is not None or vary:
            raise SpecError(f"--question {named} brings a preset and knobs of its own: leave the others out.")
        chosen = question(named).sweep()
        asked = chosen.model_copy(update={"base": chosen.base.with_settings(changes)})
        asked = Sweep.from_table(asked.to_table())
    else:
        if base is None or not vary:
            raise SpecError(
                "No sweep is given: name a preset and a knob, such as dropviz sweep classroom --vary p=0.1,0.3,0.5."
            )
        spec = _spec(base).with_settings(changes)
        axes = [{"key": key, "values": values} for key, values in map(read_vary, vary)]
        asked = Sweep.from_table({"base": spec, "axes": axes})
    check_sweep(asked)
    return asked


def _spec(base: str) -> ExperimentSpec:
    return (
        load_spec(base)
        if base not in preset_names() and Path(base).suffix in (".toml", ".json")
        else preset(base)
    )


def estimate_sweep(sweep: Sweep) -> int:
    """Say how long a sweep would take on this machine, less what is computed already.

    Returns:
        The exit code: 0 estimated, 1 it could not be measured, 130 stopped.
    """
    settings.check(settings.FOR_WORK)
    slots = settings.slots()
    store = Store.open()
    try:
        costs = {}
        for position in representatives(sweep):
            found = estimate_to_end(store, sweep.cells()[position])
            if found.state != "done":
                print(
                    f"dropviz: the time could not be measured: {found.error or found.state}", file=sys.stderr
                )
                return FAILED if found.state == "failed" else STOPPED
            costs[position] = found.costs
        takes = sweep_duration(sweep, costs, store.sweeps.missing(sweep), slots)
    finally:
        store.close()
    there = f"; {takes.computed:,} of {takes.asked:,} results are there already" if takes.computed else ""
    print(
        f"{len(sweep.cells()):,} cells, {takes.jobs:,} jobs: about {shown_seconds(takes.seconds)} here{there}"
    )
    return 0


def run_sweep(sweep: Sweep, out: Path) -> int:
    """Run a sweep to its end and write its results, or those that are there when it is stopped.

    Returns:
        The exit code: 0 done, 1 a cell failed, 130 stopped.

    Raises:
        ValueError: The folder cannot be written, or the store or a setting of this machine is not usable.
    """
    with writing(out) as store:
        check_device(store)
        keeper = EngineKeeper()
        try:
            with stop_signals() as stopping:
                sweep_id = store.sweeps.submit(sweep, "command line")
                stopped = _watch(store, sweep_id, len(sweep.cells()), keeper, stopping)
        finally:
            keeper.close()
        return _conclude(store, sweep, store.sweeps.states(sweep_id), out, stopped)


def _watch(store: Store, sweep_id: str, cells: int, keeper: EngineKeeper, stopping: Stopping) -> bool:
    """Until nothing is left to do; whether it was stopped."""
    with _progress(cells) as report:
        while True:
            store.sweeps.watch(sweep_id)
            states = store.sweeps.states(sweep_id)
            report(sum(not cell.live for cell in states))
            if not any(cell.live for cell in states):
                return any(cell.state == "stopped" for cell in states)
            try:
                keep(keeper)
            except RuntimeError:
                store.sweeps.stop(sweep_id)
                raise
            if stopping.wait(LOOK_SECONDS):
                store.sweeps.stop(sweep_id)
                return True


class _progress:
    """A bar in a terminal, and else a line every few seconds."""

    def __init__(self, cells: int) -> None:
        self.cells, self.console, self.said_at = cells, Console(stderr=True), time.monotonic()
        columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.console) if self.console.is_terminal else None

    def __enter__(self) -> Callable[[int], None]:
        if self.bar:
            self.bar.start()
            self.task = self.bar.add_task("cells", total=self.cells)
        return self._report

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def _report(self, done: int) -> None:
        if self.bar:
            self.bar.update(self.task, completed=done)
        elif done == self.cells or time.monotonic() - self.said_at > REPORT_SECONDS:
            self.said_at = time.monotonic()
            self.console.print(f"{done:,} of {self.cells:,} cells", highlight=False)


def _conclude(store: Store, sweep: Sweep, states: Sequence[CellState], out: Path, stopped: bool) -> int:
    shown = measures(sweep.base)
    finals = {cell.position: store.finals(cell.experiment) for cell in states}
    cells = {cell.position: [measured(one, finals[cell.position]) for one in shown] for cell in states}
    write_json(out / "sweep.json", _table(sweep, states, shown, cells))
    _write_parquet(out / "cells.parquet", _cell_rows(sweep, states, shown, cells))
    _write_parquet(out / "values.parquet", _value_rows(sweep, finals))
    _print(sweep, states, shown[0], cells)
    print(f"Written to {out}: {', '.join(FILES)}")
    if stopped:
        print(
            "dropviz: stopped; what was computed is kept, and the same command goes on from there.",
            file=sys.stderr,
        )
        return STOPPED
    return FAILED if any(cell.state == "failed" for cell in states) else 0


def _print(sweep: Sweep, states: Sequence[CellState], first: Measure, cells: dict[int, list[Cell]]) -> None:
    places = sweep.places()
    print(f"{first.title} ({first.note})")
    for state in states[:MOST_LINES]:
        said = state.error or told(first, cells[state.position][0])
        print(f"{sweep.place_title(places[state.position])}: {said}")
    if len(states) > MOST_LINES:
        print(f"… and {len(states) - MOST_LINES:,} more in the files")


def _table(
    sweep: Sweep, states: Sequence[CellState], shown: Sequence[Measure], cells: dict[int, list[Cell]]
) -> dict[str, Any]:
    places = sweep.places()
    found = [
        {
            "values": _values(sweep, places[state.position]),
            "experiment": state.experiment,
            "state": state.state,
            "error": state.error,
            "measures": {
                one.name: _numbers(cell) for one, cell in zip(shown, cells[state.position], strict=True)
            },
        }
        for state in states
    ]
    titles = {one.name: one.title for one in shown}
    return {"sweep": sweep.to_table(), "measures": titles, "cells": found, "versions": versions()}


def _numbers(cell: Cell) -> dict[str, Any]:
    bare = {"estimate": None, "lower": None, "upper": None}
    return (cell.interval.to_table() if cell.interval else bare) | {
        "n": cell.n,
        "distinct": cell.distinct,
        "reason": cell.reason,
    }


def _values(sweep: Sweep, place: tuple[Value, ...]) -> dict[str, Value]:
    return {axis.key: value for axis, value in zip(sweep.axes, place, strict=True)}


def _cell_rows(
    sweep: Sweep, states: Sequence[CellState], shown: Sequence[Measure], cells: dict[int, list[Cell]]
) -> list[dict[str, Any]]:
    places = sweep.places()
    return [
        _flat(sweep, places[state.position]) | {"measure": one.name} | _numbers(cell) | {"state": state.state}
        for state in states
        for one, cell in zip(shown, cells[state.position], strict=True)
    ]


def _value_rows(sweep: Sweep, finals: dict[int, Any]) -> list[dict[str, Any]]:
    places = sweep.places()
    return [
        _flat(sweep, places[position]) | {"arm": arm, "metric": metric, "seed": seed, "value": value}
        for position, by_arm in finals.items()
        for arm, by_metric in by_arm.items()
        for metric, by_seed in by_metric.items()
        for seed, value in by_seed.items()
    ]


def _flat(sweep: Sweep, place: tuple[Value, ...]) -> dict[str, Any]:
    """A column a knob; numbers stay numbers, lists and words become text."""
    return {
        key: value if isinstance(value, int | float) else shown_value(value)
        for key, value in _values(sweep, place).items()
    }


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    with whole(path) as temporary:
        parquet.write_table(pa.Table.from_pylist(rows), temporary)
