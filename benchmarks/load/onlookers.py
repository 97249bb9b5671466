"""Those who watch the runs of others, as a process: ``python -m benchmarks.load.onlookers PORT RUNS CLASSES STAY CODE…``.

It reads ``{"run": …}`` and ``{"over": …}`` as lines, and ``stop``; then it prints its findings. A viewer stays with a run for
some time (exponential, STAY seconds on average) or until it ends, then opens another one with a new connection.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys

from benchmarks.load.browser import Http
from benchmarks.load.watching import POLL_SECONDS, Board, Findings, ended, tell


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
            asyncio.create_task(self._attend(f"class-{code}", place / class_viewers))
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
            if not self.runs:
                await asyncio.sleep(POLL_SECONDS)
                continue
            await self._attend(self._random.choice(self.runs), 0.0, self._random.expovariate(1 / self.stay))

    async def _attend(self, view: str, begin: float, seconds: float = float("inf")) -> None:
        await asyncio.sleep(begin)
        http = Http(port=self.port)
        try:
            with self.findings.counting():
                await http.get("/lab")  # where the visitor gets a cookie
            await Board(http=http, view=view, findings=self.findings).watch(seconds)
        finally:
            await http.close()


if __name__ == "__main__":
    port, viewers, class_viewers, stay, code = sys.argv[1:]
    asyncio.run(Onlookers(int(port), float(stay)).main(int(viewers), int(class_viewers), code))
