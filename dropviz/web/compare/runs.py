"""The runs that are compared: read from the store or a carried result, kept where they cannot change any more. No streamlit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

import numpy as np

from dropviz import settings
from dropviz.analysis.cost import Cost, Spent, cost
from dropviz.analysis.curves import Band, Curve, band, joined, smoothed, thinned
from dropviz.experiment import ExperimentSpec, SpecError, code_version, result_key
from dropviz.store import DeletedExperiment, Experiment, Job, Store, UnknownExperiment
from dropviz.store.records import FINAL
from dropviz.web import examples
from dropviz.web.live import VIEW_ID, store

MOST_RUNS = 50  # in a link
MOST_KEPT = 256
DEVICES = ("cpu", "cuda", "mps")
HIDDEN = ("_se", "_residual")  # endings of metrics that are errors of others
FIRST = ("validation/accuracy", "validation/loss", "validation/perplexity", "train/objective", "train/loss")


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A run that is compared: the same object as long as nothing of it changes, so that what is drawn of it can be kept.

    Attributes:
        number: Its place in the list, from 1.
        name: What its owner calls it, else what is unusual about it.
        scores: Arm → seed → score on the test split, of what is done.
        costs: Arm → what it costs.
        program: The version of the code that computed it; None of an earlier one, which did not leave its name.
    """

    number: int
    id: str
    name: str
    state: str
    spec: ExperimentSpec
    scores: Mapping[str, Mapping[int, float]]
    costs: Mapping[str, Cost]
    program: str | None
    source: Stored | Carried = field(repr=False)

    @property
    def live(self) -> bool:
        """Whether it may still change."""
        return self.state in ("queued", "running", "stalled", "paused")


class Stored:
    """An experiment of the store."""

    def __init__(self, store: Store, experiment: Experiment) -> None:
        self.store, self.experiment = store, experiment
        self.state: str = experiment.state
        self.spec, self.revision = experiment.spec, experiment.revision
        score = f"test/{self.spec.data.task.score}"
        self._finals = store.finals(experiment.id)
        self.scores = {arm: self._finals.get(arm, {}).get(score, {}) for arm in self.spec.arms}
        self.costs = {arm: cost(self.spec, arm, map(_spent, self._jobs(arm))) for arm in self.spec.arms}
        self.program = _program(store, experiment)

    def _jobs(self, arm: str) -> list[Job]:
        return [job for job in self.experiment.jobs if job.arm == arm]

    @property
    def settled(self) -> bool:
        """Whether nothing of it can change any more."""
        return all(job.state in FINAL for job in self.experiment.jobs)

    def metrics(self) -> list[str]:
        """That its jobs have measured; of an arm that is not done, one job says what all measure."""
        found = dict.fromkeys(name for arm in self._finals.values() for name in arm)
        for arm in [arm for arm in self.spec.arms if arm not in self._finals]:
            found |= dict.fromkeys(
                name for job in self._jobs(arm)[:1] for name in self.store.curves.names(job)
            )
        return list(found)

    def curve(self, arm: str, metric: str) -> Curve:
        """Of all seeds whose jobs have begun to measure it."""
        parts = []
        jobs = {job.id: job for job in self.experiment.jobs}
        for job_id in dict.fromkeys(result.job_id for result in self.experiment.results if result.arm == arm):
            wanted = [one for one in self.experiment.results if (one.arm, one.job_id) == (arm, job_id)]
            steps, values = self.store.curves.series(jobs[job_id], metric)
            if len(steps):
                columns = values[:, [one.position for one in wanted]]
                parts.append(Curve(steps=steps, values=columns, seeds=tuple(one.seed for one in wanted)))
        return joined(parts)

    def band(self, arm: str, metric: str, smoothing: float) -> Band:
        """Mean and interval over its seeds."""
        return band(self.curve(arm, metric), smoothing=smoothing)

    def stopped(self, arm: str, metric: str) -> bool:
        """Whether its curve ends before its time: a job failed, or a number is none."""
        failed = any(job.state == "failed" for job in self._jobs(arm))
        return failed or self.curve(arm, metric).stop is not None


class Carried:
    """A result that comes with the program: scores of every seed, but curves as means and intervals only, and no times."""

    settled = True
    state = "example"
    revision = 0

    def __init__(self, example: examples.Example) -> None:
        self.payload, self.spec = example.payload, example.spec
        ladder = self.payload["ladder"]
        self.scores = {
            arm: dict(zip(self.spec.seed_list(), ladder[arm]["values"], strict=False))
            for arm in self.spec.arms
            if arm in ladder
        }
        self.costs = {arm: cost(self.spec, arm) for arm in self.spec.arms}
        self.program = example.versions.get("code")

    def metrics(self) -> list[str]:
        """That it has rows of."""
        return list(self.payload["metrics"])

    def curve(self, arm: str, metric: str) -> Curve:
        """None: its seeds are not carried one by one."""
        return joined([])

    def band(self, arm: str, metric: str, smoothing: float) -> Band:
        """As it was computed; of a smoothed mean no interval is known."""
        arms, metrics = self.payload["arms"], self.payload["metrics"]
        wanted = (arms.index(arm), metrics.index(metric)) if arm in arms and metric in metrics else None
        rows = [row[2:] for row in self.payload["rows"] if (row[0], row[1]) == wanted]
        steps = np.array([row[0] for row in rows], dtype=np.int64)
        mean, lower, upper = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 3).T
        if smoothing:
            mean, lower = smoothed(mean, smoothing), np.full_like(mean, np.nan)
            upper = lower
        return Band(steps=steps, mean=mean, lower=lower, upper=upper, seeds=self.spec.seeds)

    def stopped(self, arm: str, metric: str) -> bool:
        """Never."""
        return False


class Kept:
    """Sources by id; those that cannot change are read once. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Stored | Carried] = OrderedDict()

    def source(self, view_id: str) -> Stored | Carried:
        """What is behind an id.

        Raises:
            UnknownExperiment: Nothing.
            SpecError: It is of another version of this program.
        """
        known = self._known.get(view_id)
        if known and (known.settled or known.revision == self.store.revision(view_id)):
            return known
        found = self._read(view_id)
        with self._lock:
            self._known[view_id] = found
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
        return found

    def _read(self, view_id: str) -> Stored | Carried:
        if view_id.startswith(examples.PREFIX):
            return Carried(examples.example(view_id))
        if VIEW_ID.fullmatch(view_id) is None:
            raise UnknownExperiment(view_id)
        return Stored(self.store, self.store.experiment(view_id))


def chosen_runs(view_ids: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs of these ids, numbered in their order, and a sentence about each that cannot be shown."""
    lines = store().runs.lines(view_ids)
    names = {line.id: line.shown_name for line in lines.values()}
    runs, problems = list[Run](), list[str]()
    for view_id in view_ids:
        try:
            if view_id in lines and lines[view_id].deleted:
                raise DeletedExperiment
            source = _kept(settings.store_url()).source(view_id)
        except (UnknownExperiment, SpecError) as error:
            problems.append(str(error))
            continue
        name = names.get(view_id) or example_name(view_id)
        runs.append(_run(len(runs) + 1, view_id, name, source))
    return runs, problems


@lru_cache(maxsize=4 * MOST_KEPT)
def _run(number: int, view_id: str, name: str, source: Stored | Carried) -> Run:
    return Run(
        number=number,
        id=view_id,
        name=name,
        state=source.state,
        spec=source.spec,
        scores=source.scores,
        costs=source.costs,
        program=source.program,
        source=source,
    )


def example_name(view_id: str) -> str:
    """A carried result by the name of its preset."""
    return view_id.removeprefix(examples.PREFIX).replace("-", " ").capitalize()


def metrics_of(runs: Sequence[Run]) -> list[str]:
    """What any of the runs has measured: the scores first, then by name; errors of others are left out."""
    found = dict.fromkeys(name for run in runs for name in run.source.metrics())
    named = [name for name in found if not name.endswith(HIDDEN) and not name.startswith("test/")]
    return sorted(named, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def drawn_band(run: Run, arm: str, metric: str, smoothing: float, most: int) -> tuple[Band, bool]:
    """A band as it is drawn, with at most so many points, and whether it ends before its time; kept while the run stays."""
    return _drawn(run.source, arm, metric, smoothing, most)


@lru_cache(maxsize=2048)
def _drawn(source: Stored | Carried, arm: str, metric: str, smoothing: float, most: int) -> tuple[Band, bool]:
    found = source.band(arm, metric, smoothing)
    return thinned(found, source.spec.train.steps, most), source.stopped(arm, metric)


def _program(store: Store, experiment: Experiment) -> str | None:
    """All results of an experiment are of one version: its own are found again by the key that they would have today."""
    if experiment.origin == "import":
        return store.provenance(experiment).get("code")
    job = experiment.jobs[0]
    key = store.result_key(job.id).partition("/")[0]
    todays = {result_key(experiment.spec, job.arm, job.seeds[0], device) for device in DEVICES}
    return code_version() if key in todays else None


def _spent(job: Job) -> Spent:
    return Spent(seconds=job.training_seconds, steps=job.step, seeds=len(job.seeds))


@cache
def _kept(url: str) -> Kept:
    return Kept(store())
