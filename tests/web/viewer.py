"""A viewer of the live route, which keeps what the board in the browser keeps."""

from __future__ import annotations

import json
from typing import Any

from dropviz.web.feed import Cursor
from dropviz.web.reader import Reader

MOVING = ("state", "headline", "ladder", "ladder_title", "effects", "arms", "metrics", "seeds")


class Viewer:
    """Keeps what the board in the browser keeps: rows, surfaces, and the newest of everything else."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.cursor: Cursor | None = None
        self.rows: list[list[Any]] = []
        self.surfaces: dict[str, Any] = {}
        self.samples: dict[str, Any] = {}
        self.resets = 0
        self.latest: dict[str, Any] = {}

    def poll(self) -> dict[str, Any]:
        answer = json.loads(self.reader.read(self.cursor))
        if answer["reset"]:
            self.rows, self.surfaces, self.samples = [], {}, {}
            self.resets += 1
        self.rows += answer["rows"]
        self.surfaces |= answer["surfaces"]
        self.samples |= answer["samples"]
        self.cursor = Cursor.parse(answer["cursor"])
        self.latest = answer
        return answer

    def assert_same_as_newcomer(self) -> None:
        full = json.loads(self.reader.read(None))
        assert self.rows == full["rows"]
        assert self.surfaces == full["surfaces"]
        assert self.samples == full["samples"]
        assert {key: self.latest[key] for key in MOVING} == {key: full[key] for key in MOVING}
