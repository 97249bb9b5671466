"""One reader per watched class: the runs of its members pooled, by what they changed. Nothing that it sends says whose they are.

A view of a class is named ``class-CODE``, or ``class-CODE-GROUP`` for those who changed something.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from sys import intern
from typing import Any

from dropviz.analysis import decompose
from dropviz.analysis.headline import headline
from dropviz.charts import Subject
from dropviz.choices import shown
from dropviz.experiment import ExperimentSpec
from dropviz.experiment.spec import canonical_json
from dropviz.store import Store, UnknownClass
from dropviz.store.classes import ClassJob
from dropviz.web.classroom.pool import Pool
from dropviz.web.feed import Feed
from dropviz.web.payload import NoArray
from dropviz.web.story import story

PREFIX = "class-"
VIEW = re.compile(r"class-([0-9a-z]{4}(?:-[0-9a-z]{4}){3})(?:-g([0-9a-f]{8}))?")
LOOK_SECONDS = (
    1.0  # for up to so many members; in larger classes less often, so that what is sent in all stays the same
)
MEMBERS_A_LOOK = 30


@dataclass(frozen=True, kw_only=True)
class Group:
    """Members' runs with the same settings.

    Attributes:
        id: Empty for those that ran what the class is set to.
        changes: What they have otherwise, by dotted key.
        arms: That any of them asked for, the class's first.
        seats: Whose any curve is done.
        experiments: Their ids, for the server alone.
    """

    id: str
    changes: dict[str, Any]
    arms: tuple[str, ...]
    seats: frozenset[int]
    experiments: tuple[str, ...]

    @property
    def students(self) -> int:
        """How many have a result."""
        return len(self.seats)

    @property
    def title(self) -> str:
        """In words."""
        changes = (
            f"{key} = {value if isinstance(value, str) else shown(value)}"
            for key, value in self.changes.items()
        )
        return ", ".join(changes) or "As the class is set"


@dataclass(frozen=True, slots=True)
class _Run:
    """What is kept of a member's run, of which a class may have thousands: its group, its arms and whose it is."""

    group: str
    arms: tuple[str, ...]
    seat: int


class UnknownGroup(UnknownClass):
    """Settings that nobody in a class has."""

    def __init__(self) -> None:
        ValueError.__init__(self, "Nobody in this class has a run with these settings: go back to the class.")


class PooledReader(Feed):
    """Reads one group of a class.

    Raises:
        UnknownClass: The view is of no class that this server gave a link to.
        UnknownGroup: Nobody in the class changed this.
    """

    def __init__(self, store: Store, view_id: str) -> None:
        super().__init__()
        match = VIEW.fullmatch(view_id)
        if match is None:
            raise UnknownClass
        self.store, self.group = store, match[2] or ""
        self.classroom = store.classes.by_code(match[1])
        self._looked = float("-inf")
        self._runs: dict[str, _Run] = {}  # by experiment
        self._changes: dict[str, dict[str, Any]] = {}  # of each group; its whole spec would be 5 kB
        self._spec: ExperimentSpec | None = None
        self._start_over()
        self._refresh()  # by then it is known what the group changed
        if self.group and self.group not in self._changes:
            raise UnknownGroup

    def arrays(self, kind: str, step: int) -> tuple[bytes, bool]:
        """A class has none; see ``Feed``."""
        raise NoArray(kind, step)

    def groups(self) -> list[Group]:
        """All groups of the class, the one that changed nothing first, then the largest."""
        with self._lock:
            self._refresh()
            done = {job.experiment_id for job in self._jobs if job.state == "done"}
            members: dict[str, list[str]] = {"": []}
            for experiment, run in self._runs.items():
                members.setdefault(run.group, []).append(experiment)
            found = [self._group(group, experiments, done) for group, experiments in members.items()]
        return sorted(found, key=lambda one: (one.id != "", -one.students, one.title))

    def comparison(self) -> list[dict[str, Any]]:
        """A line for each group of the class that has results: settings, students, paired seeds, and its sentence."""
        groups = self.groups()
        with self._lock:
            for group in groups:
                if group.seats and group.id not in self._lines:
                    self._lines[group.id] = self._line(group)
            return [self._lines[group.id] for group in groups if group.seats]

    def _line(self, group: Group) -> dict[str, Any]:
        spec = self._spec_of(group.id)
        metric, values = f"test/{spec.data.task.score}", dict[str, dict[int, float]]()
        for experiment in group.experiments:
            for arm, found in self.store.finals(experiment).items():
                values.setdefault(arm, {}).update(found.get(metric, {}))
        d = decompose(values, metric)
        return {
            "settings": group.title,
            "students": group.students,
            "paired seeds": d.n,
            "result": headline(d, spec).text,
        }

    def _group(self, group: str, experiments: Sequence[str], done: Collection[str]) -> Group:
        runs = [self._runs[one] for one in experiments]
        arms = [*self._definition.spec.arms, *(arm for run in runs for arm in run.arms)]
        seats = {run.seat for one, run in zip(experiments, runs, strict=True) if one in done}
        return Group(
            id=group,
            changes=self._changes[group] if group else {},
            arms=tuple(dict.fromkeys(arms)),
            seats=frozenset(seats),
            experiments=tuple(experiments),
        )

    @property
    def spec(self) -> ExperimentSpec:
        """What the members of this group ran, with the arms of the class."""
        with self._lock:
            if self._spec is None:
                self._spec = self._spec_of(self.group)
            return self._spec

    def _spec_of(self, group: str) -> ExperimentSpec:
        experiment = next((one for one, run in self._runs.items() if run.group == group), "")
        table = self.store.classes.specs([experiment]).get(experiment) if group else None
        if table is None:  # the class itself, or what was deleted a moment ago
            return self._definition.start()
        return ExperimentSpec.from_table(table | {"arms": list(self._definition.spec.arms)})

    def subject(self) -> Subject:
        """What the charts need to know: curves of many, and no picture of one."""
        group = next((one for one in self.groups() if one.id == self.group), None)
        arms = group.arms if group else self._definition.spec.arms
        pooled = replace(Subject.of(self.spec), pooled=True, extent=None, examples=(), refreshes=0)
        return replace(pooled, arms=arms)

    @property
    def state(self) -> str:
        """Open, or closed for good or for now."""
        return "closed" if self.classroom.ended(time.time()) else "open"

    @property
    def _definition(self) -> Any:
        return self.classroom.definition

    def _start_over(self) -> None:
        self._pool: Pool | None = None
        self._added: set[tuple[str, int]] = set()  # (arm, seed)
        self._taken: set[tuple[str, int]] = set()  # (experiment, job)
        self._seen: tuple[Any, ...] = ()
        self._jobs: list[ClassJob] = []
        self._lines: dict[str, dict[str, Any]] = {}
        self._epoch = secrets.token_hex(4)
        self._bodies = {}
        self._progress = b"{}"
        self._story: dict[str, Any] = {}

    def _count(self) -> int:
        return self._pool.revision if self._pool else 0

    def _refresh(self) -> None:
        pause = LOOK_SECONDS * max(1.0, self.classroom.joined / MEMBERS_A_LOOK)
        if time.monotonic() - self._looked < pause:
            return
        self._looked = time.monotonic()
        self.classroom = self.store.classes.classroom(self.classroom.id)
        jobs = self.store.classes.jobs(self.classroom.id)
        if (seen := (self.state, self.classroom.joined, jobs)) == self._seen:
            return
        try:
            self._catch_up(jobs)
        except Exception:
            self._start_over()  # whatever it had got half of is read again
            raise
        self._seen = seen

    def _catch_up(self, jobs: list[ClassJob]) -> None:
        self._read_runs({job.experiment_id for job in jobs})
        mine = [job for job in jobs if self._runs[job.experiment_id].group == self.group]
        done = {(job.experiment_id, job.job_id): job for job in mine if job.state == "done"}
        if not self._taken <= done.keys():
            self._start_over()  # somebody deleted a run
        self._jobs = jobs
        if not self._taken or self._pool is None:
            self._pool = Pool(self.spec)  # of a group that had no run yet, the settings were not known before
        for key, job in done.items():
            if key not in self._taken:
                self._take(self._pool, job)
                self._taken.add(key)
        self._pool.settle()
        self._tell(self._pool, mine)
        self._bodies, self._lines = {}, {}

    def _read_runs(self, wanted: set[str]) -> None:
        gone = self._runs.keys() - wanted
        for experiment in gone:
            del self._runs[experiment]
        for experiment, table in self.store.classes.specs(wanted - self._runs.keys()).items():
            changes = self._definition.changes(table)
            group = group_of(changes)
            arms, seat = tuple(map(intern, table["arms"])), self._definition.seat_of(table["first_seed"])
            self._runs[experiment] = _Run(group, arms, seat)
            self._changes.setdefault(group, {intern(key): value for key, value in changes.items()})
        if gone:
            left = {run.group for run in self._runs.values()}
            self._changes = {group: changes for group, changes in self._changes.items() if group in left}

    def _take(self, pool: Pool, job: ClassJob) -> None:
        places = [place for place in self.store.classes.places(job) if place[:2] not in self._added]
        if not places:
            return
        points = self.store.points(job.job_id)
        for arm in dict.fromkeys(arm for arm, _, _ in places):
            seeds, positions = zip(*((seed, at) for found, seed, at in places if found == arm), strict=True)
            pool.add(arm, seeds, positions, points)
        self._added |= {place[:2] for place in places}

    def _tell(self, pool: Pool, mine: Iterable[ClassJob]) -> None:
        """The sentence and the line below it."""
        seats = {self._definition.seat_of(seed) for _, seed in self._added}
        tested = pool.ladder[f"test/{self.spec.data.task.score}"]
        complete = set(self.spec.arms) <= tested.keys()
        self._story = story(self.spec, pool, state="done" if complete else "running", seeds=pool.seeds)
        if not self._added:
            waiting = "Results show here as soon as the first of a student's curves is done."
            self._story["headline"]["parts"] = [{"text": waiting, "strong": False}]
        note = self._story["headline"]["note"]
        self._story["headline"]["note"] = " · ".join([counted(len(seats), "student"), note] if note else [])
        progress = {"message": self._message(mine, len(seats)), "queue_position": 0, "fraction": 0.0}
        nothing = ("steps_per_second", "eta_seconds", "device", "heartbeat_age")
        still = {"step": 0, "total": 0, "idle": False}
        self._progress = json.dumps(progress | still | dict.fromkeys(nothing)).encode()

    def _message(self, mine: Iterable[ClassJob], students: int) -> str:
        waiting = len({job.experiment_id for job in mine if job.state in ("queued", "running")})
        parts = [f"{counted(self.classroom.joined, 'student')} joined", f"{students} with results here"]
        parts += [f"{counted(waiting, 'run')} at work or waiting"] if waiting else []
        failed = self._failed(mine)
        if failed:
            arms = ", ".join(f"{arm} {count}" if count > 1 else arm for arm, count in failed.items())
            parts.append(f"{counted(sum(failed.values()), 'curve')} failed and left out: {arms}")
        return " · ".join(parts)

    def _failed(self, mine: Iterable[ClassJob]) -> Counter[str]:
        """Arm → how many of its curves failed, and did not come in by another attempt."""
        lost = {
            (arm, self._definition.seat_of(seed))
            for job in mine
            if job.state == "failed"
            for arm, seed, _ in self.store.classes.places(job)
            if (arm, seed) not in self._added
        }
        return Counter(arm for arm, _ in sorted(lost))

    def _payload(self, start: int, *, reset: bool) -> dict[str, Any]:
        pool = self._pool
        assert pool is not None
        found = {
            "cursor": f"{self._epoch}:{pool.revision}",
            "reset": reset,
            "state": self.state,
            "seeds": self._band(pool),
            "arms": pool.arms,
            "metrics": pool.metrics,
            "rows": pool.since(start),
        }
        nothing_new = start == pool.revision and not reset
        return found if nothing_new else found | {"arrays": [], "surfaces": {}, "samples": {}} | self._story

    def _band(self, pool: Pool) -> str:
        most = max(map(len, pool.seeds.values()), default=0)
        return replace(Subject.of(self.spec), seeds=most).band if most else "nothing yet"


def group_of(changes: dict[str, Any]) -> str:
    """The id of those who changed this."""
    return hashlib.sha256(canonical_json(changes).encode()).hexdigest()[:8] if changes else ""


def view_of(code: str, group: str = "") -> str:
    """The name of the view of a class, or of a group of it."""
    return f"{PREFIX}{code}-g{group}" if group else f"{PREFIX}{code}"


def counted(number: int, what: str) -> str:
    """``1 student``, ``23 students``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
