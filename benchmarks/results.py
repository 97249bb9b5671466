"""What the language presets reach: ``python -m benchmarks.results PRESET …`` writes their section of ``RESULTS.md``.

Runs each preset as ``dropviz run`` does, in a data directory of its own, and reports for every arm, as mean ± standard error
over seeds, the lowest validation score, when it was reached, the last one, and the test score as the preset judges it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.measure import say, temporary_data
from benchmarks.table import heading
from dropviz.commands.headless import run_experiment
from dropviz.experiment import ExperimentSpec, preset

FILE = Path(__file__).parent / "RESULTS.md"
HEADING = "# Results\n"


def main() -> int:
    """Run the named presets and put their sections into the file, in place of earlier ones."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__)
    parser.add_argument("presets", nargs="+", metavar="PRESET")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as in dropviz run")
    options = parser.parse_args()
    for name in options.presets:
        section = _section(name, options.set)
        _put(section)
        print(section)
    return 0


def _section(name: str, settings: list[str]) -> str:
    spec = preset(name).with_settings(settings)
    started = time.perf_counter()
    with temporary_data() as folder:
        say(f"{name}: {spec.title()}")
        if code := run_experiment(spec, folder / "out", fresh=True):
            raise RuntimeError(f"{name} ended with exit code {code}: see the messages above.")
        points = pd.read_parquet(folder / "out" / "points.parquet")
        table = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    minutes = (time.perf_counter() - started) / 60
    command = " ".join(
        ["python -m benchmarks.results", name, *(f"--set '{setting}'" for setting in settings)]
    )
    lines = [
        f"## {name}",
        "",
        f"`{command}`, commit {_commit()}, {_machine()}; {minutes:.0f} minutes for {spec.seeds} seeds of"
        f" {len(spec.arms)} arms, {spec.train.steps:,} steps each. {_described(spec)}",
        "",
        *_table(spec, points),
        "",
        _references(points),
        "",
        f"Gain of dropout in test loss (nats a token): {_gain(table['decomposition'])}.",
    ]
    return "\n".join(lines) + "\n"


def _metric(spec: ExperimentSpec) -> str:
    return "bits_per_character" if spec.data.task.token == "character" else "perplexity"


def _table(spec: ExperimentSpec, points: pd.DataFrame) -> list[str]:
    metric = _metric(spec)
    unit = metric.replace("_", " ")
    lines = [
        f"| arm | lowest validation {unit} | reached at step | last validation {unit} | test {unit} |",
        "|---|---|---|---|---|",
    ]
    for arm in spec.arms:
        own = points[points.arm == arm]
        curve = own[own.metric == f"validation/{metric}"].sort_values("step")
        by_seed = [group for _, group in curve.groupby("seed")]
        lowest = [group.value.min() for group in by_seed]
        when = [int(group.step[group.value.idxmin()]) for group in by_seed]
        last = [group.value.iloc[-1] for group in by_seed]
        test = own[own.metric == f"test/{metric}"].value.tolist()
        reached = ", ".join(f"{step:,}" for step in when)
        lines.append(f"| {arm} | {_mean(lowest)} | {reached} | {_mean(last)} | {_mean(test)} |")
    return lines


def _mean(values: list[float]) -> str:
    series = pd.Series(values)
    error = f" ± {series.sem():.2f}" if len(series) > 1 else ""
    return f"{series.mean():.2f}{error}"


def _references(points: pd.DataFrame) -> str:
    found = []
    for reference, words in (("optimum", "known optimum"), ("unigram", "unigram of the training text")):
        for metric in ("perplexity", "bits_per_character"):
            values = points[points.metric == f"{reference}/{metric}"].value
            if len(values):
                found.append(f"{words} {values.mean():.2f}")
    return f"± is the standard error over seeds. To compare with: {', '.join(found)}."


def _described(spec: ExperimentSpec) -> str:
    task = spec.data.task
    return f"{task.outputs:,} {task.token}s."


def _gain(decomposition: dict[str, Any]) -> str:
    gain = decomposition["gain"]
    if gain is None or gain["lower"] is None:
        return "not known from so few seeds"
    return f"{gain['estimate']:.3f} [{gain['lower']:.3f}, {gain['upper']:.3f}]"


def _commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _machine() -> str:
    machine = heading()
    return f"{machine['processor'].partition(', load')[0]}, {machine['versions'].partition(', SQLite')[0]}"


def _put(section: str) -> None:
    """In place of the section of the same name, or at the end."""
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else HEADING
    title = section.partition("\n")[0]
    parts = text.split("\n## ")
    kept = [part for part in parts[1:] if f"## {part.partition(chr(10))[0]}" != title]
    others = "".join(f"\n## {part.strip()}\n" for part in kept)
    FILE.write_text(f"{parts[0].strip()}\n{others}\n{section}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
