"""Run the settings of a scale as experiments of the store, judge the rows, and write what was found."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from dropviz import settings
from dropviz.analysis import Seeds
from dropviz.budget import check_data
from dropviz.choices import SpecError
from dropviz.commands.headless import FAILED, STOPPED, estimate_to_end, run_to_end, writing
from dropviz.commands.replicate.report import report
from dropviz.duration import duration, shown_seconds
from dropviz.experiment import ExperimentSpec
from dropviz.export import versions
from dropviz.replication import (
    Outcome,
    Row,
    Scale,
    outcome,
    own_path,
    read_results,
    results_text,
    settings_of,
)
from dropviz.store import Store
from dropviz.store.files import write_whole

Values = dict[str, Mapping[str, Seeds]]


def plan(rows: Sequence[Row], scale: Scale) -> dict[str, ExperimentSpec]:
    """Setting → one experiment with the arms that any of the rows needs, which they share.

    Raises:
        SpecError: None of the rows has a setting at this scale.
    """
    arms: dict[str, dict[str, None]] = {}
    for row in rows:
        for case in row.cases(scale):
            for part, setting in case.settings.items():
                arms.setdefault(setting.name, {}).update(dict.fromkeys(case.arms(part)))
    if not arms:
        keys = ", ".join(row.key for row in rows)
        raise SpecError(f"There is no setting of scale {scale} for {keys}: choose another scale.")
    known = settings_of(scale)
    return {name: known[name].spec(found) for name, found in arms.items()}


def replicate(rows: Sequence[Row], scale: Scale, out: Path) -> int:
    """Run what the rows need at a scale, and write ``results.json`` and ``report.html`` after each setting.

    Results are kept by content: what ran before, here or in the Lab, is not computed again, so that a replication which was
    stopped goes on where it was. The budget of a server does not bind who runs it.

    Returns:
        The exit code: 0 done, 1 a job failed, 130 stopped.

    Raises:
        ValueError: The folder cannot be written, or data or a setting of this machine are not there.
    """
    planned = plan(rows, scale)
    for spec in planned.values():
        check_data(spec)
    with writing(out) as store:
        return _run(store, rows, scale, planned, out)


def _run(
    store: Store, rows: Sequence[Row], scale: Scale, planned: Mapping[str, ExperimentSpec], out: Path
) -> int:
    values: Values = {}
    code = 0
    for number, (name, spec) in enumerate(planned.items(), start=1):
        title = settings_of(scale)[name].title
        _say(f"{number} of {len(planned)}: {title}, {len(spec.arms)} arms, {spec.seeds} seeds")
        ended = run_to_end(store, spec, origin="replication")
        metric = f"test/{spec.data.task.score}"
        finals = store.finals(ended.id)
        values[name] = {arm: found[metric] for arm, found in finals.items() if metric in found}
        _write(rows, scale, values, out)
        for job in ended.jobs:
            if job.state == "failed":
                _say(f"{title}, {job.arm}: {job.error}")
                code = FAILED
        if ended.state == "stopped":
            _say(
                f"stopped; what was computed is kept and written to {out}, and the same command goes on from there."
            )
            return STOPPED
    for row in rows:
        found = outcome(row, scale, values, versions())
        print(f"{row.key}: {found.word}. {found.summary}")
    print(f"Written to {out}: results.json, report.html")
    return code


def _write(rows: Sequence[Row], scale: Scale, values: Values, out: Path) -> None:
    """Judge and write; rows of the same scale that another call wrote stay."""
    judged = {row.key: outcome(row, scale, values, versions()) for row in rows if row.cases(scale)}
    for path in (out / "results.json", own_path(scale)):
        former: dict[str, Outcome] = {}
        with suppress(SpecError):  # of another version of the program: it is replaced
            former = {key: one for key, one in read_results(path).items() if one.scale == scale}
        merged = former | judged
        write_whole(path, results_text(merged).encode(), "replicate")
        if path.parent == out:
            write_whole(out / "report.html", report(merged, scale).encode(), "replicate")


def estimate(rows: Sequence[Row], scale: Scale) -> int:
    """Say what each setting takes on this machine, measured now unless it has been before.

    Returns:
        The exit code: 0 estimated, 1 something could not be measured, 130 stopped.
    """
    planned, slots = plan(rows, scale), settings.slots()
    for spec in planned.values():
        check_data(spec)
    total = 0.0
    store = Store.open()
    try:
        for name, spec in planned.items():
            found = estimate_to_end(store, spec)
            if found.state != "done":
                _say(f"{name}: {found.error or 'stopped'}")
                return FAILED if found.state == "failed" else STOPPED
            seconds = duration(spec, found.costs, slots).seconds
            total += seconds
            print(f"{settings_of(scale)[name].title}: about {shown_seconds(seconds)}", flush=True)
    finally:
        store.close()
    print(f"together about {shown_seconds(total)} here, less what is kept already")
    return 0


def _say(sentence: str) -> None:
    print(f"dropviz: {sentence}", file=sys.stderr, flush=True)
