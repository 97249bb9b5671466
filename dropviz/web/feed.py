"""What viewers of one thing share: it is looked at once for all of them, and serialized once for those at the same place."""

from __future__ import annotations

import json
import re
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from dropviz.charts import Page
from dropviz.web.payload import BadRequest, for_page

MOST_BODIES = 12  # viewers are at one of a few cursors, on one of the pages


@dataclass(frozen=True)
class Cursor:
    """What a viewer has: so many events of one epoch. Written ``epoch:count``."""

    epoch: str
    count: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor as a viewer sends it.

        Raises:
            BadRequest: It is not of the form ``epoch:count``.
        """
        match = re.fullmatch(r"([0-9a-z-]{1,64}):(\d{1,9})", text)
        if match is None:
            raise BadRequest(
                f"cursor = {text[:40]!r} is not possible: send back the cursor of the last answer."
            )
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        return f"{self.epoch}:{self.count}"


class Feed(ABC):
    """Something that grows, for viewers who each have a part of it; safe to share between threads."""

    _epoch: str
    _progress: bytes  # JSON that moves without being an event
    _bodies: dict[tuple[int, Page | None], bytes]  # of the present revision

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def read(self, cursor: Cursor | None, page: Page | None = None) -> bytes:
        """The payload past a cursor, as JSON, as far as a page draws it.

        Everything, with ``reset``, where the cursor is of another epoch.
        """
        with self._lock:
            self._refresh()
            return self._body(cursor, page)[:-1] + b',"progress":' + self._progress + b"}"

    @abstractmethod
    def arrays(self, kind: str, step: int) -> tuple[bytes, bool]:
        """Arm → its array of this kind at this step, as JSON, and whether all arms are there, so that it stays as it is.

        Raises:
            NoArray: No arm has it.
        """

    @abstractmethod
    def _refresh(self) -> None:
        """Look for news, unless that was done a moment ago."""

    @abstractmethod
    def _count(self) -> int:
        """The events so far."""

    @abstractmethod
    def _payload(self, start: int, *, reset: bool) -> dict[str, Any]:
        """What has happened since an event, and how things stand."""

    def _body(self, cursor: Cursor | None, page: Page | None) -> bytes:
        """Everything but the progress, serialized once for all viewers of a page with the same cursor."""
        known = cursor is not None and cursor.epoch == self._epoch and cursor.count <= self._count()
        start = cursor.count if cursor is not None and known else 0
        key = (start if known else -1, page)
        if key not in self._bodies:
            while len(self._bodies) >= MOST_BODIES:
                del self._bodies[next(iter(self._bodies))]
            payload = for_page(self._payload(start, reset=not known), page)
            self._bodies[key] = json.dumps(payload, separators=(",", ":"), allow_nan=False).encode()
        return self._bodies[key]
