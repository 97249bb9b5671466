"""The commands ``backup``, ``restore``, ``prune`` and ``doctor``; what each does is in its own module."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The tar file to write.")],
) -> int:
    """Write everything of the store that cannot be computed again into one file, also while it is served."""
    from dropviz.commands.upkeep.backup import backup as write

    return write(file)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `dropviz backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move a store that is there aside; it is not deleted.")
    ] = False,
) -> int:
    """Take a backup into an empty data directory, once all of it is verified."""
    from dropviz.commands.upkeep.restore import restore as take

    return take(file, replace=replace)


def prune(
    older_than: Annotated[
        str | None, typer.Option(metavar="30d", help="Delete what nobody touched for so long: 30d, 12h, 2w.")
    ] = None,
    keep_bytes: Annotated[
        str | None,
        typer.Option(metavar="5G", help="Delete the oldest until the store takes no more: 500M, 5G."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete it.")] = False,
) -> int:
    """Delete old experiments, and uploads that nothing names; what is pinned, shared, of a class or under way stays."""
    from dropviz import settings
    from dropviz.commands.upkeep.prune import prune as delete
    from dropviz.store.pruning import Rules

    rules = Rules(
        days=settings.days_of("--older-than", older_than) if older_than is not None else None,
        bytes=settings.bytes_of("--keep-bytes", keep_bytes) if keep_bytes is not None else None,
    )
    return delete(rules, dry_run=dry_run, yes=yes)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port that is to be served.")] = 8501,
) -> int:
    """Check that the Lab can serve here, and say what to do where it cannot; ends with 0 if it can, else with 1."""
    from dropviz.commands.upkeep.doctor import doctor as check

    return check(port, as_json=as_json)
