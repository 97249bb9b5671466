"""``python -m tests.faults.random --seed S --faults N --seconds MAX``: mixed runs, random faults, and what must hold all the same.

Faults and what people do follow from the seed; when processes get their turn does not, so a repetition meets the same faults in
the same order at other moments.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import select

from dropviz.store import Store
from dropviz.store.records import FINAL
from dropviz.store.schema import jobs
from tests import postgres
from tests.faults import injuries
from tests.faults.disks import small_disk
from tests.faults.invariants import strays, violations
from tests.faults.shim import sitecustomize as clock
from tests.faults.site import PATIENCE, WORKERS, Site
from tests.faults.traffic import Traffic

DISK_MEGABYTES = 192
BREATH_SECONDS = 1.0  # between a fault and the next one, at most
CHECKED_EVERY = 10  # faults after which every series is compared; one of the live jobs is after each


class Broken(AssertionError):
    """Something does not hold; the message says what."""


class FaultRun:
    """A site, its people, its faults and its checks.

    Args:
        site: Served already.
        seed: Chooses faults and what people do.
    """

    def __init__(self, site: Site, seed: int) -> None:
        self.site, self.random = site, random.Random(seed)
        self.traffic = Traffic(random.Random(seed + 1))
        self.faults: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self.until_true: dict[str, list[float]] = {}  # fault → seconds after it until the page told the truth

    def go(self, faults: int, seconds: float) -> None:
        """Do so many faults, or as many as fit into the time, and check; then let all end, and check everything."""
        deadline = time.monotonic() + seconds
        while self.faults.total() < faults and time.monotonic() < deadline:
            for _ in range(self.random.randrange(1, 4)):
                self.traffic.act(self.site.store)
            time.sleep(BREATH_SECONDS * self.random.random())
            fault = self._injure()
            if fault:
                self._look(fault)
        self._end()

    def _injure(self) -> str:
        """What was done; nothing where there was nothing to hit."""
        there = injuries.possible(self.site)
        (injury,) = self.random.choices(there, [one.weight for one in there])
        done = injury.act(self.site, self.random)
        print(f"{self.faults.total():4} {injury.name}{'' if done else ': nothing to hit'}", file=sys.stderr)
        (self.faults if done else self.missed)[injury.name] += 1
        return injury.name if done else ""

    def _look(self, fault: str) -> None:
        """The page tells the truth about what is under way, and what is there of the series is as it should be."""
        lines = self.site.store.experiments(limit=1000)
        looked_at = [line for line in lines if line.state not in FINAL] or lines[:1]
        if looked_at:
            took = self._page_is_true([line.id for line in looked_at])
            self.until_true.setdefault(fault, []).append(took)
        self.site.wait(
            lambda: not strays(self.site.store, self.site.processes()), "no process runs for nobody"
        )
        self.site.wait(lambda: not self.site.doubled(), "there is one of each")
        self.checks["the processes beside the store"] += 1
        live = self.site.store.live_jobs()
        if self.faults.total() % CHECKED_EVERY == 0:
            self._expect(violations(self.site.store), "all series, states and results")
        elif live:
            self._expect(violations(self.site.store, job_ids=[live[0].id]), "the series of a live job")

    def _page_is_true(self, view_ids: Sequence[str]) -> float:
        self.checks["the page beside the store and the processes"] += len(view_ids)
        return self.site.page_is_true(*view_ids)

    def _end(self) -> None:
        """Let everything come to its end, and check all of it."""
        store = self.site.store

        def ended() -> bool:
            self.traffic.let_all_finish(store)
            return not store.live_jobs()

        self.site.wait(ended, "everything has ended", 4 * PATIENCE)
        self._expect(violations(store), "all series, states and results")
        self.site.wait(lambda: not self.site.processes("child"), "no child is left")
        self._expect(strays(store, self.site.processes()), "processes")
        self._page_is_true([line.id for line in store.experiments(limit=1000)])

    def _expect(self, found: list[str], what: str) -> None:
        self.checks[what] += 1
        if found:
            raise Broken("\n".join(found))

    def report(self) -> Iterator[str]:
        """The table of faults, and what was checked."""
        yield "| fault | times | the page was true after it: median | at most |"
        yield "|---|---|---|---|"
        every = [one for seconds in self.until_true.values() for one in seconds]
        for name, count in self.faults.most_common():
            yield f"| {name} | {count} | {_seconds(self.until_true.get(name, []))} |"
        yield f"| together | {self.faults.total()} | {_seconds(every)} |"
        yield ""
        kinds = Counter(_kinds(self.site.store))
        yield f"Jobs: {_listed(kinds)}. Done by people: {_listed(self.traffic.done)}."
        if self.site.cluster:
            yield f"Started, the first time included: {_listed(self.site.cluster.started)}."
        yield f"Checked, without a violation: {_listed(self.checks)}."

    def late(self, seconds: float) -> list[str]:
        """The kinds of fault after which the page took longer than that to tell the truth."""
        return [name for name, took in self.until_true.items() if max(took) > seconds]


def _seconds(took: list[float]) -> str:
    return f"{statistics.median(took):.1f} s | {max(took):.1f} s" if took else "– | –"


def _kinds(store: Store) -> list[str]:
    with store.database.read() as connection:
        return [f"{row.kind} {row.state}" for row in connection.execute(select(jobs.c.kind, jobs.c.state))]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in counts.most_common())


@contextmanager
def fault_run(
    seed: int, database: postgres.Server | None = None, workers: Sequence[str] = ()
) -> Iterator[FaultRun]:
    """A served site on a small disk, where that is possible, for the length of a block; nothing of it is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder, beside = Path(name) / "data", Path(name)
        with small_disk(folder, DISK_MEGABYTES) if injuries.has_disk() else nullcontext():
            site = Site(folder, beside, database)
            os.environ["DROPVIZ_DEVICE"] = "cpu"
            truth, clock._path = clock._path, str(site.clock)
            real, time.time = time.time, clock.shifted  # this process reads the same wrong clock
            try:
                if workers:
                    site.start_cluster(*workers)
                site.serve()
                site.answering()
                yield FaultRun(site, seed)
            finally:
                time.time, clock._path = real, truth
                site.close()


@contextmanager
def _database(wanted: bool) -> Iterator[postgres.Server | None]:
    if not wanted:
        yield None
        return
    server = postgres.Server()
    try:
        yield server
    finally:
        server.stop()


def main() -> int:
    """Do it, and print what was done; 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.random", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1800.0, help="no further fault after so many")
    parser.add_argument("--within", type=float, default=15.0, help="seconds until the page has to be true")
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL, which crashes, too")
    parser.add_argument(
        "--cluster", action="store_true", help="on two workers of a Dask cluster, which end, too"
    )
    options = parser.parse_args()
    started = time.monotonic()
    workers = WORKERS if options.cluster else ()
    with _database(options.postgresql) as database, fault_run(options.seed, database, workers) as run:
        try:
            run.go(options.faults, options.seconds)
            code = 0
        except AssertionError as error:
            print(f"Violated after {run.faults.total()} faults:\n{error}\n")
            place = "".join(f" --{name}" for name in ("postgresql", "cluster") if getattr(options, name))
            print(
                f"Again: python -m tests.faults.random --seed {options.seed} --faults {options.faults}{place}"
            )
            code = 1
        print("\n".join(run.report()))
        late = run.late(options.within)
        if late:
            print(f"The page took more than {options.within:g} s to tell the truth after: {', '.join(late)}.")
            code = 1
    print(f"Seed {options.seed}, {run.faults.total()} faults in {time.monotonic() - started:.0f} s.")
    return code


if __name__ == "__main__":
    sys.exit(main())
