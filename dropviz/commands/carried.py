"""The results that come with the program, computed by the engine that everybody's experiments run in.

``python -m dropviz.commands.carried [PRESET …]`` writes ``dropviz/results/<preset>.json``: the preset over many more seeds than
a person waits for, looked at more often, as the payloads that the data routes make of it. The first screen shows it, and the
Curvature page.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from dropviz.commands.headless import run_to_end
from dropviz.experiment import preset, preset_names
from dropviz.export import versions
from dropviz.store import Store
from dropviz.web.examples import example_names
from dropviz.web.reader import Reader

SEEDS = 64
LOOKED_AT = ("observe.statistics=12", "observe.refreshes=8")
FOLDER = Path(__file__).parents[1] / "results"
OF_THE_VIEWER = ("cursor", "reset", "state", "progress")  # of a moment and a browser, not of the result


def main() -> int:
    """Compute the named presets, by default those that have a result, in a data directory of their own."""
    parser = argparse.ArgumentParser(
        prog="python -m dropviz.commands.carried", description="Compute the first screen's results."
    )
    parser.add_argument(
        "presets",
        nargs="*",
        metavar="PRESET",
        help=f"of {', '.join(preset_names())}; by default those that have a result",
    )
    for name in parser.parse_args().presets or example_names():
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DROPVIZ_DATA"] = folder
            table = compute(name, SEEDS)
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{name}.json"
        path.write_text(json.dumps(table, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


def compute(name: str, seeds: int) -> dict[str, Any]:
    """Run a preset over so many seeds and return what the file holds: spec, payload, arrays and versions."""
    spec = preset(name).with_settings(settings(seeds))
    store = Store.open()
    try:
        experiment = run_to_end(store, spec)
        if experiment.state != "done":
            raise RuntimeError(f"{name} ended as {experiment.state}: see the messages above.")
        reader = Reader(store, experiment.id)
        payload = json.loads(reader.read(None))
        asked = sorted({(kind, step) for _, kind, step in payload["arrays"]})
        arrays = {f"{kind}/{step}": json.loads(reader.arrays(kind, step)[0]) for kind, step in asked}
    finally:
        store.close()
    kept = {key: value for key, value in payload.items() if key not in OF_THE_VIEWER}
    return {"spec": spec.to_table(), "payload": kept, "arrays": arrays, "versions": versions()}


def settings(seeds: int) -> list[str]:
    """What a carried result has other than its preset."""
    return [f"seeds={seeds}", *LOOKED_AT]


if __name__ == "__main__":
    sys.exit(main())
