"""Somebody who watches a run or a class, as the board does: once a second, only what is new."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.load.browser import Failed, Http, Page
from benchmarks.load.clock import MADE, now

POLL_SECONDS = 1.0
LIVE = ("queued", "running", "stalled", "paused", "open")
UNDER_WAY = {"queued", "running", "stalled"}  # between these the board reports nothing


@dataclass(kw_only=True)
class Findings:
    """What the clients of one process saw; all in seconds.

    Attributes:
        waits: From a poll to its answer.
        ages: Of a point that a viewer has just seen: since its training process made it.
        clicks: From Run to the whole page's answer.
        opens: From opening a page to all of it.
        visits: The same of a page that somebody opens to watch.
        scripts: The same as of a click, of any other run of a page's script.
        firsts: From Run to the first points that the student saw.
        runs: Launched.
        errors: Statuses that are none of success, websockets that broke, elements of a page that say so.
        cpu: Of the process of these clients.
    """

    waits: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    opens: list[float] = field(default_factory=list)
    visits: list[float] = field(default_factory=list)
    scripts: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    runs: int = 0
    errors: list[str] = field(default_factory=list)
    cpu: float = 0.0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """What goes wrong in here is an error that is counted, and nothing else."""
        try:
            yield
        except (Failed, OSError, EOFError, TimeoutError, KeyError, ValueError) as error:
            self.errors.append(f"{type(error).__name__}: {error}")
        except Exception as error:  # of the websocket
            if not type(error).__module__.startswith("websockets"):
                raise
            self.errors.append(f"{type(error).__name__}: {error}")

    def line(self) -> str:
        """As one line of JSON, which a process hands to the one that started it."""
        self.cpu = time.process_time()
        return json.dumps({"findings": asdict(self)})

    def __iadd__(self, other: Findings) -> Findings:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self


@dataclass(kw_only=True)
class Board:
    """One board: what it watches, and how far it is.

    Attributes:
        state: As the last answer says; empty before the first.
        pointed_at: When its first points came (``time.perf_counter``).
        news: Set at a change of the state, and at the end.
    """

    http: Http
    view: str
    findings: Findings
    cursor: str = ""
    state: str = ""
    pointed_at: float | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _metrics: list[str] = field(default_factory=list)

    async def poll(self) -> None:
        """Ask once for what is new."""
        asked = time.perf_counter()
        body = await self.http.get(f"/live/{self.view}?page=lab&cursor={self.cursor}")
        self.findings.waits.append(time.perf_counter() - asked)
        self._take(json.loads(body), now())

    def _take(self, answer: dict[str, Any], seen: float) -> None:
        self._metrics = answer.get("metrics", self._metrics)
        news = self.cursor and not answer["reset"] and not self.view.startswith("class-")
        if news and MADE in self._metrics:
            made = self._metrics.index(MADE)
            self.findings.ages += [seen - row[3] for row in answer["rows"] if row[1] == made]
        if answer["rows"] and self.pointed_at is None:
            self.pointed_at = time.perf_counter()
        if answer["state"] != self.state:
            self.news.set()
        self.cursor, self.state = answer["cursor"], answer["state"]

    async def watch(self, seconds: float = float("inf")) -> None:
        """Poll once a second until the run has ended, or for so long."""
        started = time.monotonic()
        while True:
            due = time.monotonic() + POLL_SECONDS
            with self.findings.counting():
                await self.poll()
            if self.state not in ("", *LIVE) or time.monotonic() - started > seconds:
                self.news.set()
                return
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def follow(page: Page, board: Board, seconds: float = float("inf")) -> None:
    """Watch a run that is under way until it has ended, or for so long, and have the page follow its states, as the board does."""
    state = "queued"
    watching = asyncio.create_task(board.watch(seconds))
    try:
        while not (watching.done() and board.state in ("", state)):
            if board.state in ("", state):
                await board.news.wait()
            board.news.clear()
            if board.state not in ("", state):
                former, state = state, board.state
                if not {former, state} <= UNDER_WAY:
                    board.findings.scripts.append(await page.report("board", "changed", state))
        await watching
    finally:
        watching.cancel()


def tell(what: dict[str, Any]) -> None:
    """Say something to the process that started this one."""
    print(json.dumps(what), flush=True)


async def told(*lines: str) -> str:
    """Wait until that process says one of these, or hangs up."""
    loop = asyncio.get_running_loop()
    while (line := (await loop.run_in_executor(None, sys.stdin.readline)).strip()) not in (*lines, ""):
        pass
    return line


async def ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel these; what was wrong with any of them is raised."""
    for task in tasks:
        task.cancel()
    for found in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(found, Exception):
            raise found
