"""``dropviz replicate`` on the command line."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ScaleChoice(StrEnum):
    """What ``--scale`` takes."""

    small = "small"
    medium = "medium"
    full = "full"


def replicate(
    scale: Annotated[
        ScaleChoice,
        typer.Option(help="small: about an hour of a core; medium: a night; full: the paper's own."),
    ] = ScaleChoice.small,
    only: Annotated[
        str | None, typer.Option(metavar="fig1,…", help="Some of the figures and ablations; by default all.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where results.json and report.html go.")] = Path(
        "dropviz-replication"
    ),
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say how long it takes here, which takes a minute.")
    ] = False,
) -> int:
    """Test the paper's figures and ablations on this machine; stopped, it goes on from there the next time."""
    from dropviz.commands.replicate import running
    from dropviz.replication import row, rows

    chosen = [row(key.strip()) for key in only.split(",")] if only is not None else list(rows())
    if estimate:
        return running.estimate(chosen, scale.value)
    return running.replicate(chosen, scale.value, out)
