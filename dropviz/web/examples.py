"""Results that come with the program: ``example-<preset>`` is shown before anybody has run anything."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from dropviz.charts import Page
from dropviz.experiment import ExperimentSpec
from dropviz.store import UnknownExperiment
from dropviz.web.feed import Cursor
from dropviz.web.payload import NoArray, for_page

PREFIX = "example-"
EPOCH = "carried"


class Example:
    """A carried result: its spec, and the payload that the live route made of it when it was computed."""

    def __init__(self, name: str, table: dict[str, Any]) -> None:
        self.name = name
        self.spec: ExperimentSpec = ExperimentSpec.from_table(table["spec"])
        self.versions: dict[str, str] = table.get("versions", {})
        self.payload: dict[str, Any] = (
            {"arrays": []}
            | table["payload"]
            | {
                "cursor": str(Cursor(EPOCH, len(table["payload"]["rows"]))),
                "state": "example",
            }
        )
        self._arrays: dict[str, dict[str, Any]] = table.get("arrays", {})
        self._bodies: dict[tuple[bool, Page | None], bytes] = {}

    def read(self, cursor: Cursor | None, page: Page | None = None) -> bytes:
        """The payload past a cursor, as far as a page draws it: all of it, or nothing new."""
        reset = cursor is None or cursor.epoch != EPOCH
        if (reset, page) not in self._bodies:
            nothing: dict[str, Any] = (
                {} if reset else {"rows": [], "arrays": [], "surfaces": {}, "samples": {}}
            )
            progress = {"progress": _progress(self.spec, page)}
            self._bodies[reset, page] = _json(
                for_page(self.payload | progress | {"reset": reset} | nothing, page)
            )
        return self._bodies[reset, page]

    def arrays(self, kind: str, step: int) -> tuple[bytes, bool]:
        """Arm → its array of this kind at this step, as JSON; another version of the program may have others.

        Raises:
            NoArray: No arm has it.
        """
        found = self._arrays.get(f"{kind}/{step}")
        if found is None:
            raise NoArray(kind, step)
        return _json(found), False


def example_names() -> list[str]:
    """The presets that have a carried result."""
    folder = resources.files("dropviz") / "results"
    if not folder.is_dir():
        return []
    return sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )


@cache
def example(view_id: str) -> Example:
    """The carried result of ``example-<preset>``.

    Raises:
        UnknownExperiment: There is none.
    """
    name = view_id.removeprefix(PREFIX)
    if name not in example_names():
        raise UnknownExperiment(view_id)
    path = resources.files("dropviz") / "results" / f"{name}.json"
    return Example(name, json.loads(path.read_text("utf-8")))


def _progress(spec: ExperimentSpec, page: Page | None) -> dict[str, Any]:
    total = spec.train.steps * len(spec.arms)
    seeds = f"{spec.seeds} paired seeds" if spec.seeds > 1 else "1 seed"
    where = " in the Lab" if page == "curvature" else ""
    nothing = ("steps_per_second", "eta_seconds", "device", "heartbeat_age")
    return {
        "fraction": 1.0,
        "step": total,
        "total": total,
        "queue_position": 0,
        "idle": False,
        "message": f"Pre-computed: {seeds}. Press Run{where} for your own.",
    } | dict.fromkeys(nothing)


def _json(table: dict[str, Any]) -> bytes:
    return json.dumps(table, separators=(",", ":"), allow_nan=False).encode()
