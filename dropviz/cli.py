"""The ``dropviz`` command: run experiments headless, serve the dashboard, list presets, teach a class, fetch data, replicate.

Commands import what they need when they run, so that ``dropviz --help`` is there at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from dropviz.commands import classroom as class_commands
from dropviz.commands import data as data_commands
from dropviz.commands import lessons as lesson_commands
from dropviz.commands.replicate import commands as replicate_commands
from dropviz.commands.upkeep import commands as upkeep_commands

if TYPE_CHECKING:
    from dropviz.experiment import ExperimentSpec

FAILED = 1
BAD_INPUT = 2
STOPPED = 130

SpecFile = Annotated[
    Path | None, typer.Argument(metavar="[SPEC.toml]", help="A spec file, or a run's spec.json.")
]
Preset = Annotated[str | None, typer.Option(help="A preset instead of a file; see `dropviz presets`.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as p=0.2 or train.steps=500."),
]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Take dropout apart while it trains: its explicit regularizer and its implicit gradient noise.",
)
app.add_typer(class_commands.app, name="class")
app.add_typer(data_commands.app, name="data")
app.command()(lesson_commands.lessons)
app.command()(replicate_commands.replicate)
app.command()(upkeep_commands.backup)
app.command()(upkeep_commands.restore)
app.command()(upkeep_commands.prune)
app.command()(upkeep_commands.doctor)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the command. Exits with 0 done, 1 a job failed, 2 bad input, 130 stopped."""
    try:
        code = app(arguments, standalone_mode=False)
    except TyperException as error:
        _complain(error.format_message())
        code = BAD_INPUT
    except ValueError as error:
        _complain(str(error))
        code = BAD_INPUT
    except (OSError, RuntimeError) as error:  # a full disk, an engine that does not start
        _complain(str(error))
        code = FAILED
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    sys.exit(code if isinstance(code, int) else 0)


@app.command()
def run(
    spec: SpecFile = None,
    preset: Preset = None,
    settings: Settings = None,
    arms: Annotated[str | None, typer.Option(metavar="A,B,…", help="The arms, such as none,dropout.")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="N", help="The number of seeds.")] = None,
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("dropviz-out"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Compute anew, whatever is cached.")] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say how long it takes here, which takes seconds.")
    ] = False,
) -> int:
    """Run an experiment and write summary.json, points.parquet and spec.json."""
    from dropviz.budget import check_budget, check_data
    from dropviz.commands.headless import estimate_experiment, run_experiment

    _tell_of_extensions()
    chosen = _chosen(spec, preset)
    chosen = chosen.with_settings(_changes(settings, arms, seeds))
    check_data(chosen)
    check_budget(chosen)
    return estimate_experiment(chosen) if estimate else run_experiment(chosen, out, fresh=fresh)


@app.command()
def script(
    spec: SpecFile = None,
    preset: Preset = None,
    settings: Settings = None,
    arm: Annotated[str, typer.Option(help="Which arm, such as explicit+implicit.")] = "dropout",
    seed: Annotated[int | None, typer.Option(min=0, help="Which seed; the first one unless told.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for train.py and what belongs to it, in place of printing.")
    ] = None,
) -> int:
    """Print one arm at one seed as a Python file that needs no DropViz, and has the same losses on a CPU."""
    from dropviz.scripts import script_of

    chosen = _chosen(spec, preset).with_settings(settings or [])
    found = script_of(chosen, arm, chosen.first_seed if seed is None else seed)
    if out is None and found.files:
        raise ValueError(
            f"The script reads {' and '.join(found.files)}, which belongs beside it: say where to, with --out FOLDER."
        )
    if out is None:
        print(found.text, end="")
        return 0
    out.mkdir(parents=True, exist_ok=True)
    for name, content in {"train.py": found.text.encode(), **found.files}.items():
        (out / name).write_bytes(content)
    typer.echo(f"Written to {out}: {', '.join(['train.py', *found.files])}", err=True)
    return 0


@app.command()
def sweep(
    base: Annotated[
        str | None, typer.Argument(metavar="[PRESET]", help="A preset, a SPEC.toml or a run's spec.json.")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KNOB=VALUES",
            help="One or two knobs: p=0.1,0.3,0.5 or width=8:128:5:log (from:to:count, by a constant factor).",
        ),
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="A ready-made question instead; any wrong name lists them.")
    ] = None,
    settings: Settings = None,
    arms: Annotated[str | None, typer.Option(metavar="A,B,…", help="The arms, such as none,dropout.")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="N", help="The number of seeds.")] = None,
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("dropviz-sweep"),
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say how long it takes here, which takes seconds.")
    ] = False,
) -> int:
    """Run an experiment over one or two knobs; write sweep.json, cells.parquet and values.parquet. What is computed is kept."""
    from dropviz.commands.sweep import asked_sweep, estimate_sweep, run_sweep

    _tell_of_extensions()
    asked = asked_sweep(base, list(vary or []), question, _changes(settings, arms, seeds))
    return estimate_sweep(asked) if estimate else run_sweep(asked, out)


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of the page.")] = 8501,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 is everybody's.")
    ] = "127.0.0.1",
) -> int:
    """Serve the dashboard, with its engine, until Ctrl-C."""
    from dropviz.commands.serve import serve as supervise

    _tell_of_extensions()
    return supervise(host, port)


@app.command()
def engine() -> int:
    """Run queued jobs on this machine until Ctrl-C, for pages and commands that share the store (docs/clusters.md)."""
    from dropviz.commands.engine import keep_engine

    return keep_engine()


@app.command()
def presets() -> int:
    """List the presets."""
    from dropviz.experiment import preset, preset_names

    for name in preset_names():
        spec = preset(name)
        typer.echo(f"{name}: {spec.title()} · {len(spec.arms)} arms · {spec.seeds} seeds")
    return 0


@app.command("check-extensions")
def check_extensions() -> int:
    """Try everything that extensions bring as this program's own parts are tried; ends with 1 if something fails."""
    from dropviz.contracts import check

    problems = []
    for line in check():
        problems.append(line.problem)
        typer.echo(f"{line.what}: {line.problem or 'good'}")
    if not problems:
        typer.echo(
            "There are no extensions: DROPVIZ_EXTENSIONS names files or folders; see docs/extending.md."
        )
    return FAILED if any(problems) else 0


def _tell_of_extensions() -> None:
    """Say on stderr what cannot be used of them; the rest can."""
    from dropviz.catalogue import problems

    for problem in problems():
        _complain(problem)


@app.command("export")
def export_(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the link to it.")],
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="A,B,…",
            help="Of csv, parquet, json, html, scripts, tensorboard, safetensors, and zip for all in one.",
        ),
    ] = "zip",
    out: Annotated[Path, typer.Option(help="Where the files go.")] = Path("dropviz-out"),
) -> int:
    """Write a run of this machine's store as files."""
    from dropviz.commands.keeping import export_run

    return export_run(run, [name.strip() for name in formats.split(",") if name.strip()], out)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="What `dropviz export` or Keep wrote.")],
) -> int:
    """Take an exported run into this machine's store."""
    from dropviz.commands.keeping import import_run

    return import_run(file)


def _changes(settings: list[str] | None, arms: str | None, seeds: str | None) -> list[str]:
    """All that is set, arms and seeds as settings like any other."""
    changes = list(settings or [])
    changes += [f"arms={[arm.strip() for arm in arms.split(',')]}"] if arms is not None else []
    return changes + ([f"seeds={seeds}"] if seeds is not None else [])


def _chosen(path: Path | None, name: str | None) -> ExperimentSpec:
    from dropviz.experiment import load_spec, preset

    if path is not None and name is not None:
        raise ValueError(f"Both {str(path)!r} and --preset {name} are given: give one of them.")
    if path is None and name is None:
        raise ValueError("No experiment is given: name a SPEC.toml, or --preset noisy-digits.")
    return preset(name) if name is not None else load_spec(str(path))


def _complain(sentence: str) -> None:
    print(f"dropviz: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    main()
