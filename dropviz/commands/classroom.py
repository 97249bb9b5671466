"""``dropviz class``: set a class up, list the classes of this installation, close one or open it again."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dropviz.store import Classroom, Store

OWNER = "command line"
UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}

app = typer.Typer(
    no_args_is_help=True, help="Teach: a link for students, what is locked, whose seeds are whose."
)

Site = Annotated[
    str, typer.Option("--url", help="The address that students open, such as http://10.0.0.5:8501.")
]


@app.command()
def create(
    title: Annotated[str, typer.Option(help="The class's name, which students read.")],
    preset: Annotated[str, typer.Option(help="The experiment; see `dropviz presets`.")] = "classroom",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of it, such as p=0.2."),
    ] = None,
    free: Annotated[
        str, typer.Option("--open", metavar="A,B,…", help="What students may change, such as p,arms.")
    ] = "",
    seeds: Annotated[int, typer.Option(help="Seeds of each student.")] = 3,
    ends: Annotated[
        str | None, typer.Option("--ends", metavar="TIME", help="When it ends, such as 90m, 2h or 7d.")
    ] = None,
    site: Site = "http://localhost:8501",
) -> int:
    """Set a class up and print the students' link and the teacher's."""
    from dropviz.budget import check_budget, check_data
    from dropviz.classes import ClassDefinition
    from dropviz.experiment import preset as read_preset
    from dropviz.store import Store

    opened = [key.strip() for key in free.split(",") if key.strip()]
    expires_at = None if ends is None else time.time() + _seconds(ends)
    spec = read_preset(preset).with_settings(settings or [])
    definition = ClassDefinition.of(spec, title, open=opened, seeds=seeds, expires_at=expires_at)
    check_data(definition.spec)
    check_budget(definition.start())
    store = Store.open()
    try:
        _print(store, store.classes.create(definition, OWNER), site)
    finally:
        store.close()
    return 0


@app.command("list")
def list_classes(site: Site = "http://localhost:8501") -> int:
    """List the classes: who may join, and the links."""
    from dropviz.store import Store

    store = Store.open()
    try:
        found = store.classes.of()
        for classroom in found:
            _print(store, classroom, site)
    finally:
        store.close()
    if not found:
        typer.echo('There is no class yet: dropviz class create --title "Tuesday" --open p')
    return 0


@app.command()
def close(code: Annotated[str, typer.Argument(metavar="CODE", help="Of the students' link.")]) -> int:
    """Let nobody join or run any more; results stay."""
    return _close(code, closed=True)


@app.command()
def reopen(code: Annotated[str, typer.Argument(metavar="CODE", help="Of the students' link.")]) -> int:
    """Let students join and run again."""
    return _close(code, closed=False)


def _close(code: str, *, closed: bool) -> int:
    from dropviz.store import Store

    store = Store.open()
    try:
        found = store.classes.by_code(code.rpartition("/")[2])
        store.classes.close(found.id, closed=closed)
    finally:
        store.close()
    typer.echo(f"{found.definition.title} is {'closed' if closed else 'open'}.")
    return 0


def _print(store: Store, found: Classroom, site: str) -> None:
    """A class in four lines."""
    site = site.rstrip("/")
    state = found.ended(time.time()) or f"open, {found.joined} joined"
    freely = ", ".join(found.definition.open) or "nothing"
    typer.echo(f"{found.definition.title}: {state}")
    typer.echo(f"  {found.definition.spec.title()} · {found.definition.seeds} seeds each · open: {freely}")
    typer.echo(f"  students  {site}/join/{store.classes.code(found)}")
    typer.echo(f"  teacher   {site}/class?teach={store.classes.code(found, 'teach')}")


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,6})([mhd])", text.strip())
    if match is None or int(match[1]) == 0:
        raise ValueError(f"--ends {text!r} is not a time: write 90m, 2h or 7d.")
    return int(match[1]) * UNITS[match[2]]
