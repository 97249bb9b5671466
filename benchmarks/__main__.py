"""The command: measure what is asked for, print one table, write it as JSON if wanted."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from benchmarks.measure import Row, say
from benchmarks.table import heading, printed, rows_table

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
    "load",
    "fairness",
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, all of them by default."""
    options = _options(arguments)
    import torch

    torch.set_num_threads(1)
    machine = heading()
    found: dict[str, list[Row]] = {}
    for name in _asked(options.names):
        say(f"{name} …")
        started = time.perf_counter()
        found[name] = import_module(f"benchmarks.{name}").measure(quick=options.quick)
        say(f"{name}: {time.perf_counter() - started:.0f} s")
    printed(rows_table(found, machine))
    if options.json:
        table = {"machine": machine, "quick": options.quick}
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


if __name__ == "__main__":
    sys.exit(main())
