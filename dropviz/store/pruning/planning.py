"""What is to go, decided from one look at the store, and carried out; see the package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from dropviz.downloads import shown_size
from dropviz.store.pruning import deleting, retention, unnamed
from dropviz.store.pruning.retention import DAY, Unit
from dropviz.store.store import Store

TOGETHER = 20  # experiments, or jobs, of one transaction
YOUNGEST = DAY  # what something happened to since is not deleted for its size


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is too much: ``days`` since something last happened to an experiment, ``bytes`` of all; None sets no limit."""

    days: float | None = None
    bytes: int | None = None

    def __bool__(self) -> bool:
        return self.days is not None or self.bytes is not None

    def excess(self, size: int) -> bool:
        """Whether so many bytes are too many."""
        return self.bytes is not None and size > self.bytes


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be deleted.

    Attributes:
        experiments: Their ids, those of sweeps included.
        sweeps: Their ids.
        thrown_away: Of both, those that go because their owners deleted them.
        jobs: Jobs that then belong to nobody, with what measured their weights, and old estimates.
        weights: Jobs that stay without the weights they had at former steps.
        cutoff: When they had to end for that, in seconds since 1970.
        uploads: Uploaded files that nothing names → bytes of each.
        bytes: What all of it takes, about, but for the uploads.
        total: What the store takes now, about: what its jobs recorded, and weights.
        warnings: Sentences about what stays although it is too much.
    """

    experiments: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()
    thrown_away: frozenset[str] = frozenset()
    jobs: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    cutoff: float = 0.0
    uploads: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    total: int = 0
    warnings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.experiments or self.sweeps or self.jobs or self.weights or self.uploads)


class _Tally:
    """What becomes free while one unit after the other goes: the jobs that nothing else has, with what measured them."""

    def __init__(
        self, attached: Mapping[int, list[str]], measured_by: Mapping[int, list[int]], sizes: dict[int, int]
    ) -> None:
        self._count = {job: len(views) for job, views in attached.items()}
        self._of: dict[str, list[int]] = {}
        for job, views in attached.items():
            for view_id in views:
                self._of.setdefault(view_id, []).append(job)
        self._measured_by, self._sizes = measured_by, sizes
        self.gone: set[int] = set()
        self.freed = 0

    def drop(self, unit: Unit) -> None:
        for job in (job for view_id in unit.experiments for job in self._of.get(view_id, ())):
            self._count[job] -= 1
            if self._count[job] == 0:
                self.drop_jobs([job, *self._measured_by.get(job, ())])

    def drop_jobs(self, jobs: Iterable[int]) -> None:
        new = set(jobs) - self.gone
        self.gone |= new
        self.freed += sum(self._sizes.get(job, 0) for job in new)

    def drop_weights(self, files: Mapping[int, int]) -> None:
        for job, size in files.items():
            self._sizes[job] -= size
            self.freed += size


def plan(store: Store, rules: Rules, now: float | None = None) -> Plan:
    """Decide what is deleted: what was thrown away long ago, then by age, then the oldest until the rest is small enough."""
    now = store.now() if now is None else now
    cutoff = now - rules.days * DAY if rules.days is not None else 0.0
    files = retention.file_bytes(store.weights)
    with store.database.read() as connection:
        units = sorted(retention.units(connection, now), key=lambda unit: unit.at)
        attached = retention.attached(connection)
        sizes = retention.job_bytes(connection, files)
        old_weights = retention.old_weights(connection, cutoff) & files.keys()
        measured_by = retention.refreshes(connection)
        loose = retention.loose_jobs(connection, cutoff, measured_by)
    total = sum(sizes.values()) + sum(size for job, size in files.items() if job not in sizes)
    tally = _Tally(attached, measured_by, sizes)
    tally.drop_jobs(loose)
    chosen = [unit for unit in units if unit.thrown_away or unit.at < cutoff]
    for unit in chosen:
        tally.drop(unit)
    former = old_weights - tally.gone
    tally.drop_weights({job: files[job] for job in former})
    others = [unit for unit in units if not (unit.thrown_away or unit.at < cutoff)]
    count = 0
    while count < len(others) and others[count].at < now - YOUNGEST and rules.excess(total - tally.freed):
        tally.drop(others[count])
        count += 1
    chosen += others[:count]
    experiments = [view_id for unit in chosen for view_id in unit.experiments]
    sweeps = [unit.sweep for unit in chosen if unit.sweep is not None]
    thrown_away = [unit for unit in chosen if unit.thrown_away]
    uploads, warnings = unnamed.find(store.database, {*experiments, *sweeps})
    planned = Plan(
        experiments=tuple(experiments),
        sweeps=tuple(sweeps),
        thrown_away=frozenset(one for unit in thrown_away for one in (*unit.experiments, unit.sweep) if one),
        jobs=tuple(sorted(tally.gone)),
        weights=tuple(sorted(former - tally.gone)),
        cutoff=cutoff,
        uploads=uploads,
        bytes=tally.freed,
        total=total,
        warnings=warnings,
    )
    if not rules.excess(total - planned.bytes):
        return planned
    for unit in others[count:]:
        tally.drop(unit)
    return replace(planned, warnings=(*warnings, _warning(rules, total - planned.bytes, total - tally.freed)))


def plan_uploads(store: Store) -> Plan:
    """Only uploaded files that nothing names: they go though no rules say what is old."""
    uploads, warnings = unnamed.find(store.database)
    return Plan(uploads=uploads, warnings=warnings)


def _warning(rules: Rules, left: int, kept: int) -> str:
    """Why more stays than may."""
    limit = shown_size(rules.bytes or 0)
    if rules.excess(kept):
        return (
            f"What pruning never deletes (pinned, shared, of a class, under way) takes {shown_size(kept)}, and the limit is {limit}:"
            " unpin or share less, or raise the limit."
        )
    return f"{shown_size(left)} stay, and the limit is {limit}: what ended within a day is not deleted for its size."


def carry_out(store: Store, planned: Plan) -> None:
    """Delete what is planned, but for what somebody keeps by now."""
    experiments = set(planned.experiments)
    for sweep in planned.sweeps:
        with store.database.write() as connection:
            deleting.delete_sweep(
                connection, sweep, experiments, store.now(), thrown_away=sweep in planned.thrown_away
            )
    for some in _groups(planned.experiments):
        with store.database.write() as connection:
            deleting.delete_experiments(connection, some, store.now(), planned.thrown_away)
    for group in _groups(planned.jobs):
        with store.database.write() as connection:
            deleted = deleting.delete_jobs(connection, group)
        for job in deleted:
            store.weights.remove(job)
    for group in _groups(planned.weights):
        with store.database.write() as connection:
            deleting.remove_weights(connection, store.weights, group, planned.cutoff)
    unnamed.remove(store.database, planned.uploads)


def _groups(ids: Iterable) -> Iterator[list]:
    ordered = list(ids)
    for start in range(0, len(ordered), TOGETHER):
        yield ordered[start : start + TOGETHER]
