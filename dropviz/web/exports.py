"""What an experiment can be kept as, and the route that hands it out: ``/export/{view id}/{format}``.

A file is made when it is asked for, in a thread, a few at a time, and never again for a browser that has it. What became of the
rows of somebody's own file is in an export for who handed that file in, and for nobody else.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain
from pathlib import PurePosixPath
from typing import IO

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dropviz import __version__, logs
from dropviz.experiment import ExperimentSpec, SpecError
from dropviz.export.archive import Member, event_members, members, write_zip
from dropviz.export.files import table_files
from dropviz.export.series import file_name
from dropviz.export.weights import weight_files
from dropviz.scripts import script_of
from dropviz.scripts.script_data import FILE, own_file
from dropviz.store import Experiment, Store, UnknownExperiment
from dropviz.store.limits import QueueFull, check_disk
from dropviz.web import handed_in, leaving
from dropviz.web.leaving import Busy, Download, Places
from dropviz.web.live import VIEW_ID, store
from dropviz.web.senders import Pace, owner, sender

AT_ONCE = 2  # files that are made at the same time; whoever comes then waits
PACE = Pace(burst=60, rate=1)  # of a person: each menu has eight, and a browser asks once for what it has
NO_WEIGHTS = (
    "No weights of this run are kept here: they are where it trained, if DROPVIZ_WEIGHTS_MB was above 0 and the program is still"
    " the same."
)
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One format: its files, which travel as a zip where there may be several.

    Attributes:
        title: As the menu has it.
        note: What it is for.
        files: Names and contents, one at a time.
        media: The media type of the one file; empty where there may be several.
    """

    title: str
    note: str
    files: Callable[[Store, Experiment], Iterator[Member]]
    media: str = ""


def _table(name: str) -> Callable[[Store, Experiment], Iterator[Member]]:
    return lambda store, experiment: table_files(store, experiment, [name])


def _report(store: Store, experiment: Experiment) -> Iterator[Member]:
    from dropviz.web.reports import report

    yield "report.html", report(store, experiment)


def _scripts(store: Store, experiment: Experiment) -> Iterator[Member]:
    """A script an arm, at the first seed; what cannot be written is said in the file's place."""
    spec = experiment.spec
    for arm in spec.arms:
        try:
            found = script_of(spec, arm, spec.first_seed)
        except SpecError as error:
            yield f"{file_name(arm)}/no-script.txt", f"{error}\n".encode()
            continue
        for name, content in {"train.py": found.text.encode(), **found.files}.items():
            yield f"{file_name(arm)}/{name}", content


def _everything(store: Store, experiment: Experiment) -> Iterator[Member]:
    yield from members(store, experiment)
    yield from ((f"scripts/{name}", content) for name, content in _scripts(store, experiment))
    yield from _report(store, experiment)


FORMATS = {
    "html": Kept(title="Report", note="one HTML file, opens anywhere", files=_report, media="text/html"),
    "csv": Kept(title="CSV", note="every point, one a row", files=_table("points.csv"), media="text/csv"),
    "parquet": Kept(
        title="Parquet",
        note="the same, typed and small",
        files=_table("points.parquet"),
        media="application/vnd.apache.parquet",
    ),
    "json": Kept(
        title="Summary",
        note="JSON: means, intervals, versions",
        files=_table("summary.json"),
        media="application/json",
    ),
    "scripts": Kept(title="PyTorch", note="a script an arm, at the first seed", files=_scripts),
    "tensorboard": Kept(title="TensorBoard", note="event files, a run an arm and seed", files=event_members),
    "safetensors": Kept(title="Weights", note="safetensors, of all kept steps", files=weight_files),
    "zip": Kept(title="Everything", note="one zip, which Open takes back", files=_everything),
}


def stem(experiment: Experiment) -> str:
    """What files of an experiment are called, in front of their ending."""
    spec = experiment.spec
    return f"dropviz-{spec.data.name}-{spec.model.name}-{experiment.id[:8]}"


def gets_rows(spec: ExperimentSpec, owner: str) -> bool:
    """Whether exports for somebody may hold what became of a file's rows: those of one's own file are for who handed it in."""
    file = own_file(spec)
    return not file or handed_in.by(owner, file)


def tag(store: Store, experiment: Experiment, name: str, *, rows: bool) -> str:
    """The ETag of a format: another one whenever its content may be."""
    refreshes = store.refresh_jobs([job.id for job in experiment.jobs])
    parts = [(job.id, job.epoch, job.revision, job.state) for job in (*experiment.jobs, *refreshes)]
    text = f"{name} {experiment.id} {experiment.state} {__version__} {rows} {parts}"
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def make(
    store: Store,
    experiment: Experiment,
    name: str,
    file: IO[bytes],
    *,
    rows: bool = True,
    check: Callable[[], object] = lambda: None,
) -> str:
    """Write a format to a file and return the name that it should have.

    Args:
        store: Where the experiment is.
        experiment: What is exported.
        name: Of ``FORMATS``.
        file: Where it goes.
        rows: Whether the data of somebody's own file may be in it; without them a script says where they belong.
        check: Called before each of its files is written, and may refuse to go on.

    Raises:
        SpecError: There is nothing of this kind.
    """
    kept = FORMATS[name]
    files = _checked(kept.files(store, experiment), check)
    if not rows:
        files = (one for one in files if PurePosixPath(one[0]).name != FILE)
    if kept.media:
        ((only, content),) = files
        file.write(content)
        return f"{stem(experiment)}-{only}"
    first = next(files, None)
    if first is None:
        raise SpecError(NO_WEIGHTS)
    write_zip(file, chain([first], files))
    return f"{stem(experiment)}{'' if name == 'zip' else f'-{name}'}.zip"


def _checked(files: Iterator[Member], check: Callable[[], object]) -> Iterator[Member]:
    for one in files:
        check()
        yield one


async def export(request: Request) -> Response:
    """The route: a file to keep, or one sentence why there is none."""
    view_id, name = request.path_params["view_id"], request.path_params["format"]
    if too_often := PACE.refusal(request):
        return too_often
    if VIEW_ID.fullmatch(view_id) is None:
        return _refusal(400, f"{view_id[:40]!r} is not an experiment's id: use the link as it was given.")
    if name not in FORMATS:
        return _refusal(400, f"{name[:40]!r} is not a format: choose one of {', '.join(FORMATS)}.")
    try:
        experiment = await run_sync(store().experiment, view_id)
        rows = await run_sync(gets_rows, experiment.spec, owner(request.headers))
        etag = await run_sync(partial(tag, store(), experiment, name, rows=rows))
        headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
        if etag in re.findall(r'"[^"]*"', request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        async with AsyncExitStack() as held:
            await held.enter_async_context(_places().of(sender(request)))
            file, filename = await run_sync(partial(_made, experiment, name, rows=rows), limiter=_limiter())
            held.enter_context(file)
            headers |= {
                "Content-Length": str(os.fstat(file.fileno()).st_size),
                "Content-Disposition": f'attachment; filename="{filename}"',
                "X-Content-Type-Options": "nosniff",
            }
            return Download(file, held.pop_all(), headers, FORMATS[name].media or "application/zip")
    except UnknownExperiment as error:
        return _refusal(404, str(error))
    except Busy as error:
        return _refusal(error.status, str(error))
    except QueueFull as error:
        return _refusal(503, str(error))
    except SpecError as error:
        return _refusal(409, str(error))
    except Exception:
        logger.exception("export failed", extra=logs.of(experiment=view_id, format=name))
        return _refusal(500, "The server could not make this file; its log has the details.")


def _made(experiment: Experiment, name: str, *, rows: bool) -> tuple[IO[bytes], str]:
    """A file, which stands at its beginning, and what it should be called.

    Raises:
        SpecError: There is nothing of this kind.
        QueueFull: The disk is nearly full.
    """
    has_room = partial(check_disk, leaving.folder())
    has_room()
    file = leaving.new_file()
    try:
        filename = make(store(), experiment, name, file, rows=rows, check=has_room)
        file.flush()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, filename


@cache
def _places() -> Places:
    return Places()


@cache
def _limiter() -> CapacityLimiter:
    return CapacityLimiter(AT_ONCE)


def _refusal(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status, {"Cache-Control": "no-store"})


route = Route("/export/{view_id}/{format}", export)
