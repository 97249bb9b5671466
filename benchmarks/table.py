"""What benchmarks print: the machine that they ran on, and a table of rows."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row, Summary

PACKAGES = ("torch", "numpy", "SQLAlchemy", "streamlit")


def printed(table: Table) -> None:
    """Print a table, in a file as wide as it needs to be read."""
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def heading() -> dict[str, str]:
    """Processor, system, versions, date and commit."""
    versions = [f"{package} {metadata.version(package)}" for package in PACKAGES]
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, load {load} at the start",
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *versions, f"SQLite {sqlite3.sqlite_version}"]
        ),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": f"commit {_commit()}",
    }


def _commit() -> str:
    """Of this checkout, and whether files of it were changed since."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def rows_table(found: Mapping[str, Sequence[Row]], heading: Mapping[str, str]) -> Table:
    """A section for each benchmark."""
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
