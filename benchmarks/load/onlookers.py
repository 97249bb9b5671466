"""Those who watch the runs of others, as a process: ``python -m benchmarks.load.onlookers PORT RUNS CLASSES STAY CODE…``.

It reads ``{"run": …}`` and ``{"over": …}`` as lines, and ``stop``; then it prints its findings. Each has the page open. A viewer stays
with a run for some time (exponential, STAY seconds on average) or until it ends, then opens another one as a new browser does.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from benchmarks.load.browser import Http, Page
from benchmarks.load.watching import POLL_SECONDS, Board, Findings, ended, follow, tell

A_MOMENT = 0.1  # seconds between two runs that somebody watches


class Onlookers:
    """Viewers of runs that are under way, and of a class."""

    def __init__(self, port: int, stay: float) -> None:
        self.port, self.stay = port, stay
        self.findings = Findings()
        self.runs: list[str] = []
        self._random = random.Random(0)

    async def main(self, viewers: int, class_viewers: int, code: str) -> None:
        """Watch until told to stop."""
        tasks = [asyncio.create_task(self._wander(place / viewers)) for place in range(viewers)]
        tasks += [
            asyncio.create_task(self._look_at_class(code, place / class_viewers))
            for place in range(class_viewers)
        ]
        tell({"ready": True})
        await self._obey()
        await ended(tasks)
        print(self.findings.line(), flush=True)

    async def _obey(self) -> None:
        loop = asyncio.get_running_loop()
        while (line := (await loop.run_in_executor(None, sys.stdin.readline)).strip()) not in ("", "stop"):
            heard = json.loads(line)
            if "run" in heard:
                self.runs.append(heard["run"])
            elif heard.get("over") in self.runs:
                self.runs.remove(heard["over"])

    async def _wander(self, begin: float) -> None:
        await asyncio.sleep(begin)
        while True:
            await asyncio.sleep(A_MOMENT if self.runs else POLL_SECONDS)
            if not self.runs:
                continue
            with self.findings.counting():
                await self._look_at_run(
                    self._random.choice(self.runs), self._random.expovariate(1 / self.stay)
                )

    async def _look_at_run(self, run: str, seconds: float) -> None:
        async with self._opened("lab", f"run={run}") as (http, page):
            await follow(page, Board(http=http, view=run, findings=self.findings), seconds)

    async def _look_at_class(self, code: str, begin: float) -> None:
        await asyncio.sleep(begin)
        with self.findings.counting():
            async with self._opened("class", f"class={code}") as (http, _):
                await Board(http=http, view=f"class-{code}", findings=self.findings).watch()

    @asynccontextmanager
    async def _opened(self, name: str, query: str) -> AsyncIterator[tuple[Http, Page]]:
        """A page in a browser of its own, which is closed afterwards."""
        async with AsyncExitStack() as stack:
            http = Http(port=self.port)
            stack.push_async_callback(http.close)
            await http.get(f"/{name}")  # where the visitor gets a cookie
            page = await Page.open(self.port, http.cookie, name, query)
            stack.push_async_callback(page.close)
            self.findings.visits.append(await page.run())
            yield http, page


if __name__ == "__main__":
    port, viewers, class_viewers, stay, code = sys.argv[1:]
    asyncio.run(Onlookers(int(port), float(stay)).main(int(viewers), int(class_viewers), code))
