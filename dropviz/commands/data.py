"""``dropviz data``: which data sets there are, and fetching those that are not here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dropviz.datasets import Dataset
    from dropviz.downloads import Progress

app = typer.Typer(no_args_is_help=True, help="List the data sets, or fetch those that are not here.")


@app.command("list")
def list_sets(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> int:
    """List every data set: whether it is here, its size, licence and title."""
    from dropviz.catalogue import problems
    from dropviz.datasets import registry
    from dropviz.downloads import shown_size

    sets = [registry.read(name) for name in sorted(registry.members)]
    for problem in problems():
        print(f"dropviz: {problem}", file=sys.stderr)
    if as_json:
        typer.echo(json.dumps([_facts(data) for data in sets], indent=2, ensure_ascii=False))
        return 0
    lines = [("name", "state", "size", "licence", "title")]
    for data in sets:
        state = _state(data)
        size = shown_size(data.download().size) if data.files else "–"
        title = f"{data.title}. {data.missing()}" if state == "not here" else data.title
        lines.append((data.name, state, size, data.licence, title))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())
    return 0


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Data sets; see `dropviz data list`.")],
) -> int:
    """Fetch the files of data sets; what an earlier fetch left is gone on with, and all is verified."""
    from dropviz.datasets import registry

    sets = [registry.read(name) for name in names]  # an unknown name is told before anything is fetched
    for data in sets:
        _fetch(data)
    return 0


def _state(data: Dataset) -> str:
    """Where a data set is: built in, cached, installed, to be fetched, not here."""
    if not data.files:
        return "not here" if data.missing() else "built in"
    if data.download().cached:
        return "cached"
    return "to be fetched" if data.missing() else "installed"


def _facts(data: Dataset) -> dict[str, object]:
    """What a program may want to know of a data set; sizes in bytes."""
    return {
        "name": data.name,
        "state": _state(data),
        "why": data.missing(),
        "size": data.download().size if data.files else None,
        "licence": data.licence,
        "title": data.title,
        "origin": data.origin,
        "folder": str(data.download().folder) if data.files else None,
    }


def _fetch(data: Dataset) -> None:
    """Fetch one data set, with its licence and size above the progress, or say why there is nothing to fetch.

    Raises:
        DownloadError: One of its files cannot be had.
        RuntimeError: It is not here, and is not to be fetched either.
    """
    from dropviz.downloads import shown_size

    state = _state(data)
    if state == "not here":
        raise RuntimeError(data.missing())
    if state in ("built in", "installed"):
        typer.echo(f"{data.name} is {state}: nothing to fetch.")
        return
    download = data.download()
    if state == "cached":
        typer.echo(f"{data.name} is already cached in {download.folder}.")
        return
    hosts = ", ".join(sorted({file.host for file in download.files}))
    typer.echo(f"{data.title}: {shown_size(download.size)} from {hosts}. Licence: {data.licence}.")
    with _shown(data.name) as progress:
        try:
            download.fetch(progress=progress)
        except KeyboardInterrupt:
            print(
                "dropviz: stopped; what came is kept, and fetching again goes on from there.", file=sys.stderr
            )
            raise
    typer.echo(f"{data.name} is verified and in {download.folder}.")


@contextmanager
def _shown(name: str) -> Iterator[Progress]:
    """A progress bar on stderr, if that is a terminal."""
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with progress.Progress(*columns, console=console, disable=not console.is_terminal) as bar:

        def show(done: int, total: int) -> None:
            if not bar.tasks:  # with what is here already, which would count as speed otherwise
                bar.add_task(name, completed=done, total=total)
            bar.update(bar.tasks[0].id, completed=done)

        yield show
