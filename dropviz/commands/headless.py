"""One experiment from the command line: submit it, have an engine, show progress, write the results."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dropviz import settings
from dropviz.analysis.headline import headline
from dropviz.duration import duration, shown_seconds, told
from dropviz.engine import EngineKeeper, engine_runs
from dropviz.engine.stopping import Stopping, stop_signals
from dropviz.experiment import ExperimentSpec
from dropviz.export import check_writable, write
from dropviz.store import Estimate, Experiment, Job, Store, StoreError
from dropviz.store.records import FINAL, Origin
from dropviz.strategies import label

LOOK_SECONDS = 0.2
REPORT_SECONDS = 10.0
STOPPING_SECONDS = 5.0
MOST_ENGINE_DEATHS = 3
FAILED, STOPPED = 1, 130


def run_experiment(spec: ExperimentSpec, out: Path, *, fresh: bool = False) -> int:
    """Run a spec to its end and write its results.

    Args:
        spec: What to run, within budget.
        out: The folder for the results.
        fresh: Compute anew, whatever is cached.

    Returns:
        The exit code: 0 done, 1 a job failed, 130 stopped.

    Raises:
        ValueError: The folder cannot be written, or the store or a setting of this machine is not usable.
    """
    with writing(out) as store:
        return _conclude(store, run_to_end(store, spec, fresh=fresh), out)


@contextmanager
def writing(out: Path) -> Iterator[Store]:
    """The store, for a command that writes its results to a folder; what cannot work is refused before anything runs.

    Raises:
        ValueError: The folder cannot be written, or the store or a setting of this machine is not usable.
        RuntimeError: The store failed in the middle of it, which is no fault of the input.
    """
    check_writable(out)
    settings.check(settings.FOR_WORK)  # complain here, not in the engine's log
    store = Store.open()
    try:
        yield store
    except StoreError as error:
        raise RuntimeError(str(error)) from error
    finally:
        store.close()


def run_to_end(
    store: Store, spec: ExperimentSpec, *, fresh: bool = False, origin: Origin = "command"
) -> Experiment:
    """Submit a spec, keep an engine for it and show its progress on stderr until it has ended or a signal stops it."""
    check_device(store)
    keeper = EngineKeeper()
    try:
        with stop_signals() as stopping:
            view_id = store.submit(spec, owner="command line", origin=origin, fresh=fresh)
            store.watch(view_id)
            return _watch(store, view_id, keeper, stopping)
    finally:
        keeper.close()


def estimate_experiment(spec: ExperimentSpec) -> int:
    """Say how long a spec would take on this machine, measured now unless it has been before.

    Returns:
        The exit code: 0 estimated, 1 it could not be measured, 130 stopped.

    Raises:
        ValueError: The store or a setting of this machine is not usable.
    """
    settings.check(settings.FOR_WORK)
    slots = settings.slots()
    store = Store.open()
    try:
        found = estimate_to_end(store, spec)
    finally:
        store.close()
    if found.state == "failed":
        print(f"dropviz: the time could not be measured: {found.error}", file=sys.stderr)
        return FAILED
    if found.state != "done":
        return STOPPED
    takes = duration(spec, found.costs, slots)
    arms = ", ".join(f"{label(arm)} {shown_seconds(seconds)}" for arm, seconds in takes.arms.items())
    print(f"{told(takes)}\nby arm: {arms}")
    return 0


def estimate_to_end(store: Store, spec: ExperimentSpec) -> Estimate:
    """Have the cost of a spec measured, with an engine for it, until that is known or a signal stops it."""
    check_device(store)
    keeper = EngineKeeper()
    try:
        with stop_signals() as stopping:
            store.request_estimate(spec, owner="command line")
            while True:
                found = store.estimate(spec)
                assert found is not None
                if found.state in FINAL:
                    return found
                keep(keeper)
                if stopping.wait(LOOK_SECONDS):
                    store.stop_job(found.job_id)
                    return replace(found, state="stopped")
    finally:
        keeper.close()


def keep(keeper: EngineKeeper) -> None:
    """See to it that an engine runs.

    Raises:
        RuntimeError: It ends each time it is started.
    """
    keeper.ensure()
    if keeper.deaths >= MOST_ENGINE_DEATHS:
        raise RuntimeError(f"The engine does not start: see {settings.data_dir() / 'engine.log'}.")


def check_device(store: Store) -> None:
    """Refuse to leave the work to engines that would do it on another kind of device."""
    wanted, elsewhere = settings.device_class(), settings.engine() == "none"
    looked = elsewhere or not store.database.one_engine or engine_runs()
    workers = [one for one in store.workers() if not one.silent(store.now())] if looked else []
    if elsewhere and not workers:
        print("dropviz: no engine serves this store yet: `dropviz engine` starts one.", file=sys.stderr)
    for worker in workers:
        if worker.device.partition(":")[0] != wanted:
            raise ValueError(
                f"The engine on {worker.host} that serves {store.database.place} trains on {worker.device}, not on {wanted}:"
                f" stop it, set DROPVIZ_DEVICE={worker.device}, or {store.database.elsewhere}."
            )


def _watch(store: Store, view_id: str, keeper: EngineKeeper, stopping: Stopping) -> Experiment:
    console = Console(stderr=True)
    with _Bars(console) if console.is_terminal else _Lines(console) as shown:
        experiment = store.experiment(view_id)
        while True:
            shown.update(experiment)
            if experiment.state in FINAL:
                return experiment
            try:
                keep(keeper)
            except RuntimeError:
                store.request(view_id, "stop")
                raise
            store.watch(view_id)
            if stopping.wait(LOOK_SECONDS):
                return _stop(store, view_id)
            experiment = store.refreshed(experiment)


def _stop(store: Store, view_id: str) -> Experiment:
    store.request(view_id, "stop")
    deadline = time.monotonic() + STOPPING_SECONDS
    while time.monotonic() < deadline:
        experiment = store.experiment(view_id)
        if not any(job.state == "running" and job.wants == "stop" for job in experiment.jobs):
            break
        time.sleep(0.05)
    return replace(store.experiment(view_id), state="stopped")  # whatever else had become of it


def _conclude(store: Store, experiment: Experiment, out: Path) -> int:
    if experiment.state == "stopped":
        print("dropviz: stopped; what was computed so far is kept.", file=sys.stderr)
        return STOPPED
    decomposition = write(store, experiment, out)
    for job in experiment.jobs:
        if job.state == "failed":
            print(f"dropviz: {label(job.arm)}: {job.error}", file=sys.stderr)
    said = headline(decomposition, experiment.spec)
    print(said.text)
    if said.note:
        print(said.note)
    print(f"Written to {out}: summary.json, points.parquet, spec.json")
    return FAILED if experiment.state == "failed" else 0


class _Bars:
    """A progress bar an arm, in a terminal."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self.progress = Progress(*columns, TimeRemainingColumn(), console=console)
        self.tasks: dict[str, int] = {}

    def __enter__(self) -> _Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def update(self, experiment: Experiment) -> None:
        """Show how far each arm is."""
        for arm, jobs in _by_arm(experiment).items():
            step, total = _steps(jobs)
            if arm not in self.tasks:
                self.tasks[arm] = self.progress.add_task(label(arm), total=total, note="")
            self.progress.update(self.tasks[arm], completed=step, note=_note(jobs))  # type: ignore[arg-type]


class _Lines:
    """Plain lines, where the output goes to a file."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.notes: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, experiment: Experiment) -> None:
        """Print an arm's line when its state changed, and every few seconds while it runs."""
        now = time.monotonic()
        for arm, jobs in _by_arm(experiment).items():
            note = _note(jobs)
            former, printed_at = self.notes.get(arm, ("queued", now))
            if note != former or (note == "running" and now - printed_at > REPORT_SECONDS):
                step, total = _steps(jobs)
                self.console.print(
                    f"{label(arm)}: {note}, step {step:,} of {total:,}", highlight=False, soft_wrap=True
                )
                self.notes[arm] = (note, now)


def _by_arm(experiment: Experiment) -> dict[str, list[Job]]:
    jobs = {job.id: job for job in experiment.jobs}
    arms: dict[str, dict[int, Job]] = {arm: {} for arm in experiment.spec.arms}
    for result in experiment.results:
        arms[result.arm][result.job_id] = jobs[result.job_id]
    return {arm: list(found.values()) for arm, found in arms.items()}


def _steps(jobs: Sequence[Job]) -> tuple[int, int]:
    """Steps of the arm that are done and asked for, a block of seeds counted once each."""
    return sum(job.step for job in jobs), sum(job.total for job in jobs)


def _note(jobs: Sequence[Job]) -> str:
    if all(job.cached for job in jobs):
        return "cached"
    states = [job.state for job in jobs]
    return next((s for s in ("running", "failed", "stopped", "paused", "queued") if s in states), "done")
