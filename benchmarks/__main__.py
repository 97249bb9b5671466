"""The command: measure what is asked for, print one table, write it as JSON if wanted."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module, metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row, Summary, say

NAMES = (
    "steps",
    "surrogates",
    "language",
    "recording",
    "stores",
    "stacked",
    "arms",
    "together",
    "curvature",
    "growth",
    "presets",
    "estimates",
    "first_point",
    "viewers",
    "classroom",
    "what_if",
    "pages",
    "peers",
    "cockpit",
    "playground",
    "operate",
)
TARGETS = (
    "stacked",
    "arms",
    "surrogates",
    "recording",
    "estimates",
    "curvature",
    "growth",
    "peers",
    "playground",
)
ALL_TARGETS = "targets"
PACKAGES = ("torch", "numpy", "SQLAlchemy", "streamlit")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, all of them by default."""
    options = _options(arguments)
    import torch

    torch.set_num_threads(1)
    heading = _heading()
    found: dict[str, list[Row]] = {}
    for name in _asked(options.names):
        say(f"{name} …")
        started = time.perf_counter()
        found[name] = import_module(f"benchmarks.{name}").measure(quick=options.quick)
        say(f"{name}: {time.perf_counter() - started:.0f} s")
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(_table(found, heading))
    if options.json:
        table = {"machine": heading, "quick": options.quick}
        table |= {"results": {name: [asdict(row) for row in rows] for name, rows in found.items()}}
        options.json.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        type=_name,
        metavar="NAME",
        help=f"one of {', '.join(NAMES)}, or targets; by default all",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repetitions: a rough look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    return parser.parse_args(arguments)


def _asked(names: Sequence[str]) -> list[str]:
    """``targets`` stands for the benchmarks of training and curvature that a target is set for, and the peers beside them."""
    if not names:
        return list(NAMES)
    return [one for name in names for one in (TARGETS if name == ALL_TARGETS else (name,))]


def _name(text: str) -> str:
    if text == ALL_TARGETS:
        return text
    name = text.replace("-", "_")
    if name not in NAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is no benchmark: choose from {', '.join(NAMES)}")
    return name


def _heading() -> dict[str, str]:
    versions = [f"{package} {metadata.version(package)}" for package in PACKAGES]
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, load {load} at the start",
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *versions, f"SQLite {sqlite3.sqlite_version}"]
        ),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _table(found: Mapping[str, Sequence[Row]], heading: Mapping[str, str]) -> Table:
    title = (
        "\n".join(heading.values())
        + "\nmedians (quartiles) of repetitions in turns; 1 thread; CPU-s: seconds of processor time"
    )
    table = Table(title=title, title_justify="left", title_style="")
    for column in ("", "measured", "median", "ratio", "target"):
        table.add_column(column, justify="right" if column == "median" else "left")
    for name, rows in found.items():
        table.add_section()
        for index, row in enumerate(rows):
            ratios = "\n".join(f"{_shown(value)} × {other}" for other, value in row.ratios.items())
            table.add_row(name if index == 0 else "", row.name, _size(row), ratios, _verdict(row))
    return table


def _shown(ratio: Summary) -> str:
    return f"{ratio.median:.2f} ({ratio.lower:.2f}–{ratio.upper:.2f})"


def _size(row: Row) -> str:
    median = row.value.median
    return f"{median:,.0f} {row.unit}" if median >= 100 else f"{median:.3g} {row.unit}"


def _verdict(row: Row) -> str:
    return row.target if row.met is None else f"{row.target} {'✓' if row.met else '✗'}"


if __name__ == "__main__":
    sys.exit(main())
