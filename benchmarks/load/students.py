"""The students of a server, as a process: ``python -m benchmarks.load.students PORT STUDENTS CODE once|again [KEY=NUMBER…]``.

Each has a browser of its own. A third chooses preset and setting in the form, a third by a link, a third in a class. At the line
``go`` everybody presses Run at once; at ``stop`` it prints its findings. With ``again`` who is done starts another run after a
look at the result, some in a new tab. KEY=NUMBER is what those outside of the class set alike, such as ``train.steps=100``.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence

from benchmarks.load.browser import Failed, Http, Page, Value, parts
from benchmarks.load.watching import Board, Findings, ended, follow, tell, told

WAYS = ("form", "link", "class")
STAYS = 0.75  # the share who keep their tab open between two runs
LOOKS = (1.0, 5.0)  # seconds at a result


class Student:
    """One browser."""

    def __init__(self, room: Room, number: int) -> None:
        self.room, self.number, self.way = room, number, WAYS[number % len(WAYS)]
        self.http = Http(port=room.port)
        self.random = random.Random(number)
        self.page: Page | None = None
        self.button = "run"
        self.turn = 0

    async def open(self) -> Page:
        """Open the page that the way of this student leads to."""
        if not self.http.cookie:
            await self.http.get("/lab")
        query = {"class": f"class={self.room.code}"}.get(self.way, "")
        if self.way == "link":
            query = "&".join(["preset=classroom", f"train.learning_rate={self._rate()}", *self.room.settings])
        self.page = await Page.open(self.room.port, self.http.cookie, "lab", query)
        self.room.findings.opens.append(await self.page.run())
        return self.page

    async def prepare(self) -> None:
        """Have a page open, and on it what is to run."""
        new = not (self.page and "run" in parts(self.page.query))
        page = self.page or await self.open()
        for key, value in self._choices(new=new):
            self.room.findings.scripts.append(await page.set(key, value))
        self.button = "begin" if new and self.way == "class" else "run"

    async def launch(self) -> None:
        """Press Run; then watch it until it is done."""
        page, findings = self.page, self.room.findings
        if page is None:
            raise Failed("there is no page to press Run on")
        clicked = time.perf_counter()
        findings.clicks.append(await page.press(self.button))
        self.turn += 1
        view = parts(page.query)["run"]
        findings.runs += 1
        tell({"run": view})
        try:
            await self._look(page, view, clicked)
        finally:
            tell({"over": view})

    def _choices(self, *, new: bool) -> list[tuple[str, Value]]:
        """The widgets to move, and where to; of a new page, a link has done that, and a class is set as it is to be run first."""
        rate: list[tuple[str, Value]] = [("train.learning_rate", self._rate())]
        if self.way == "form" and new:
            return [("Preset", "Classroom"), *map(_widget, self.room.settings), *rate]
        return rate if not new or (self.way == "class" and self.turn) else []

    def _rate(self) -> float:
        """A learning rate that is nobody else's; in a class the same for all of a turn, on seeds that are nobody else's."""
        if self.way == "class":
            return round(0.3 * (1 + self.turn / 1000), 8)
        return round(0.3 * (1 + (1 + self.number + 1000 * self.turn) / 1e6), 8)

    async def _look(self, page: Page, view: str, clicked: float) -> None:
        """Watch one's own run, and have the page follow its states."""
        board = Board(http=self.http, view=view, findings=self.room.findings)
        try:
            await follow(page, board)
        finally:
            if board.pointed_at is not None:
                board.findings.firsts.append(board.pointed_at - clicked)

    async def leave(self) -> None:
        """Close the tab; the browser keeps its cookie."""
        if self.page is not None:
            page, self.page = self.page, None
            await page.close()


class Room:
    """All of them."""

    def __init__(self, port: int, students: int, code: str, settings: Sequence[str], *, again: bool) -> None:
        self.port, self.code, self.settings, self.again = port, code, settings, again
        self.findings = Findings()
        self.students = [Student(self, number) for number in range(students)]

    async def main(self) -> None:
        """Open all pages at once, wait, run."""
        await asyncio.gather(*(self._prepared(student) for student in self.students))
        tell({"ready": True})
        await told("go")
        tasks = [asyncio.create_task(self._attend(student)) for student in self.students]
        stopped = asyncio.create_task(told("stop"))
        everybody = asyncio.create_task(asyncio.wait(tasks))
        await asyncio.wait([everybody, stopped], return_when="FIRST_COMPLETED")
        tell({"done": True})
        await stopped
        await ended(tasks)
        print(self.findings.line(), flush=True)

    async def _prepared(self, student: Student) -> None:
        with self.findings.counting():
            await student.prepare()

    async def _attend(self, student: Student) -> None:
        while True:
            with self.findings.counting():
                await student.launch()
            if not self.again:
                return
            if student.random.random() > STAYS:
                await student.leave()
            await asyncio.sleep(student.random.uniform(*LOOKS))
            await self._prepared(student)


def _widget(setting: str) -> tuple[str, Value]:
    key, _, value = setting.partition("=")
    return key, float(value)


if __name__ == "__main__":
    port, students, code, again, *settings = sys.argv[1:]
    asyncio.run(Room(int(port), int(students), code, settings, again=again == "again").main())
