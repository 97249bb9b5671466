"""``python -m benchmarks.load --soak MINUTES``: the same load again and again, and whether anything grows."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from benchmarks.load import rows
from benchmarks.load.scene import Crowd, Look, Observed, observe
from benchmarks.load.soak import Slope, quantities, slope
from benchmarks.measure import say
from benchmarks.table import heading, printed, rows_table

MINUTES, EARLIER = 30.0, 3000
AFTERWARDS_SECONDS = (
    180.0  # Streamlit keeps a page that was left for two minutes, in case its browser comes back
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak a server; prints what the crowd saw and how everything that is counted moved."""
    options = _options(arguments)
    machine = heading()
    crowd = Crowd(
        students=options.students,
        viewers=options.viewers,
        seconds=60 * options.soak,
        again=True,
        stay=30.0,
        earlier=options.earlier,
        afterwards=AFTERWARDS_SECONDS,
    )
    found = observe(crowd, told=_tell)
    printed(rows_table({"soak": rows(found)}, machine))
    printed(_slopes(found))
    if options.json:
        table = {"machine": machine, "crowd": asdict(crowd), "found": asdict(found)}
        options.json.write_text(json.dumps(table) + "\n", encoding="utf-8")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--soak", type=float, default=MINUTES, metavar="MINUTES", help="by default 30")
    parser.add_argument("--students", type=int, default=30, metavar="N", help="by default 30")
    parser.add_argument(
        "--viewers", type=int, default=100, metavar="N", help="by default 100, the students among them"
    )
    parser.add_argument(
        "--earlier",
        type=int,
        default=EARLIER,
        metavar="JOBS",
        help=f"that the server has done before anybody comes, since an engine grows most in its first thousands; by default {EARLIER:,}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was seen there, too")
    return parser.parse_args(arguments)


def _tell(look: Look) -> None:
    memory = ", ".join(f"{role} {sample.megabytes:.1f} MB" for role, sample in look.processes.items())
    say(f"  {look.at:5.0f} s: {memory}; {look.sessions} sessions, log {look.log:.1f} MB")


def _slopes(found: Observed) -> Table:
    table = Table(
        title="Over the last two thirds of the time, a look every 10 s", title_justify="left", title_style=""
    )
    left = found.left
    assert left is not None
    for column in ("", "at first", "at the end", "slope an hour (95 % interval)", "", "when all have left"):
        table.add_column(column, justify="left" if not column else "right")
    seconds = [look.at for look in found.looks]
    for name, (unit, value) in quantities().items():
        of = slope(seconds, [value(look) for look in found.looks])
        table.add_row(
            name,
            _shown(of.first, unit),
            _shown(of.last, unit),
            _interval(of, unit),
            _verdict(of),
            _shown(value(left), unit),
        )
    return table


def _shown(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}".strip()


def _interval(of: Slope, unit: str) -> str:
    return f"{of.estimate:+.2f} ({of.lower:+.2f} to {of.upper:+.2f}) {unit}".strip()


def _verdict(of: Slope) -> str:
    return "flat" if of.is_flat else "falls" if of.estimate < 0 else "grows"


if __name__ == "__main__":
    sys.exit(main())
