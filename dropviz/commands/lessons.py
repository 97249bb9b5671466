"""``dropviz lessons``: list the lessons, or run each with enough seeds and record what it shows."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dropviz.lessons import Entry, Recorded

FAILED = 1


def lessons(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Lessons; by default all of them.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Run them with many seeds (minutes), judge and record beside the files."
        ),
    ] = False,
    stale: Annotated[
        bool,
        typer.Option(
            "--stale",
            help="With --check: only those whose record is missing, out of date, or of earlier code.",
        ),
    ] = False,
) -> int:
    """List the lessons and what their recorded results say; with --check, record these anew.

    Exits with 1 where a lesson's file is wrong or its effect does not hold.
    """
    from dropviz.lessons import entries, entry, recorded

    chosen = [entry(name) for name in names] if names else entries()
    if not check:
        held = [_told(one, recorded(one)) for one in chosen]
    else:
        with _own_data():
            held = [_told(one, _checked(one, stale=stale)) for one in chosen]
    return 0 if all(held) else FAILED


def _checked(entry: Entry, *, stale: bool) -> Recorded | None:
    """The lesson's new record: run, or where that is allowed and its values are there, only judged."""
    from dropviz.lessons import judged_anew, recorded, write

    if entry.lesson is None:
        return None
    known = recorded(entry)
    if not stale or known is None or known.former:
        return _record(entry)
    found = judged_anew(entry.lesson, known)
    write(entry, found)
    return found


@contextmanager
def _own_data() -> Iterator[None]:
    """A data directory for the length of a block, so that all is computed anew, but nothing twice."""
    former = os.environ.get("DROPVIZ_DATA")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DROPVIZ_DATA"] = folder
        try:
            yield
        finally:
            os.environ.pop("DROPVIZ_DATA")
            if former is not None:
                os.environ["DROPVIZ_DATA"] = former


def _record(entry: Entry) -> Recorded:
    """Run a lesson and write its result."""
    from dropviz.commands.headless import run_to_end
    from dropviz.lessons import Measured, record, write
    from dropviz.store import Store

    assert entry.lesson is not None
    store = Store.open()
    try:
        experiment = run_to_end(store, entry.lesson.recorded_spec)
        if experiment.state != "done":
            raise RuntimeError(f"{entry.name} ended as {experiment.state}: see the messages above.")
        measured = Measured.of_run(store, experiment, entry.lesson)
    finally:
        store.close()
    seconds = sum(
        job.training_seconds + job.evaluation_seconds + job.statistics_seconds for job in experiment.jobs
    )
    found = record(entry.lesson, measured, seconds)
    path = write(entry, found)
    print(f"{path}: {path.stat().st_size:,} bytes, {seconds:.0f} s of computing", file=sys.stderr)
    return found


def _told(entry: Entry, known: Recorded | None) -> bool:
    """Print a lesson's lines; whether all is well with it."""
    from dropviz.analysis.claims import WORDS
    from dropviz.lessons.outcome import verdict

    if entry.lesson is None:
        typer.echo(f"{entry.name}: {entry.problem}")
        return False
    if known is None:
        typer.echo(
            f"{entry.name}: {entry.title}\n  not recorded as it is now: run dropviz lessons --check {entry.name}"
        )
        return False
    typer.echo(f"{entry.name}: {entry.title}\n  {WORDS[verdict(known.judgements)]}")
    for one in known.judgements:
        typer.echo(f"  [{one.verdict}] {one.sentence}")
    return verdict(known.judgements) == "green"
