"""Checks of the program: Python, packages, settings, the training device, extensions."""

from __future__ import annotations

import difflib
import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from importlib import metadata
from pathlib import Path

from dropviz import __version__, settings
from dropviz.budget import Budget
from dropviz.catalogue import brought
from dropviz.commands.upkeep.doctor.registry import Answer, Context, check

PACKAGE = Path(__file__).resolve().parents[3]
REQUIREMENTS = PACKAGE.parent / "requirements.txt"
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s#;]+)", re.MULTILINE)
VARIABLE = re.compile(r"DROPVIZ_[A-Z][A-Z0-9_]*[A-Z0-9]")
FILES = ("DROPVIZ_ADMIN_TOKEN_FILE", "DROPVIZ_METRICS_TOKEN_FILE")


@check("python")
def python(_: Context) -> Iterator[Answer]:
    """What runs here; an older Python would not have come so far."""
    found = (
        f"DropViz {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    yield "ok", found, ""


@check("packages")
def packages(_: Context) -> Iterator[Answer]:
    """Those that are needed, in the versions that are pinned."""
    pins = PIN.findall(REQUIREMENTS.read_text("utf-8")) if REQUIREMENTS.exists() else []
    missing, other = [], []
    for name, wanted in pins:
        try:
            found = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if found != wanted:
            other.append(f"{name} {found} (pinned: {wanted})")
    install = f"{sys.executable} -m pip install -c constraints.txt -r requirements.txt"
    if missing:
        yield "problem", f"not installed: {', '.join(missing)}", install
    if other:
        yield "warning", f"other versions than tested: {', '.join(other)}", install
    if pins and not missing and not other:
        yield "ok", f"all {len(pins)} as pinned", ""
    if not pins:
        yield "warning", f"{REQUIREMENTS} is not there, so versions cannot be compared", ""


@check("settings")
def variables(_: Context) -> Iterator[Answer]:
    """Each of them can be read, and none is misspelled."""
    for sentence in settings.problems():
        yield "problem", sentence, ""
    try:
        Budget.from_environment()
    except ValueError as error:
        yield "problem", str(error), ""
    known = known_variables()
    given = sorted(name for name in os.environ if name.startswith("DROPVIZ_"))
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1, 0.75)
            meant = f"Did you mean {close[0]}?" if close else "Unset it: nothing reads it."
            yield "warning", f"{name} is set, and nothing reads it", meant
    read_ones = [name for name in given if name in known]
    yield "ok", f"read: {', '.join(read_ones)}" if read_ones else "all as they are by default", ""


def known_variables() -> set[str]:
    """The variables that the program names anywhere, and those that it builds from parts."""
    named = {name for path in PACKAGE.rglob("*.py") for name in VARIABLE.findall(path.read_text("utf-8"))}
    return named | {f"DROPVIZ_MAX_{field.name.upper()}" for field in fields(Budget)} | set(FILES)


@check("device")
def device(_: Context) -> Iterator[Answer]:
    """What jobs train on, and whether the installed torch can use the graphics card that is there."""
    chosen, torch = settings.device(), metadata.version("torch")
    found = f"{chosen}, torch {torch}, {settings.slots()} jobs at once on {settings.cores()} cores"
    driver = settings.machine.NVIDIA_DRIVER.exists()
    if settings.engine() != "local":
        yield "ok", f"{chosen}; jobs run where DROPVIZ_ENGINE = {settings.engine()} says", ""
    elif driver and "+cpu" in torch:
        todo = "To train on it, install the CUDA build of torch: see Size, device, settings in the README."
        yield "warning", f"{found}; there is an NVIDIA driver, and this torch is a CPU build", todo
    elif chosen.startswith("cuda") and not driver:
        yield (
            "problem",
            f"{found}; no NVIDIA driver is here",
            "Set DROPVIZ_DEVICE=cpu, or install the driver.",
        )
    elif chosen.startswith("cuda") and "+cpu" in torch:
        yield (
            "problem",
            f"{found}: a CPU build",
            "Set DROPVIZ_DEVICE=cpu, or install the CUDA build of torch.",
        )
    elif chosen == "cpu":
        yield "warning", f"{found}; no graphics card", "Nothing: every preset fits a CPU."
    else:
        yield "ok", found, ""


@check("extensions")
def extensions(_: Context) -> Iterator[Answer]:
    """Whether what the settings name can be used."""
    found = brought()
    for one in found:
        for problem in one.problems:
            yield "warning", problem, "dropviz check-extensions says more."
    parts = sum(len(one.parts) for one in found)
    yield "ok", f"{len(found)} bring {parts} parts" if found else "none", ""
