"""Checks of the program: Python, packages, settings, the training device, extensions."""

from __future__ import annotations

import difflib
import os
import platform
import re
import subprocess
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
VARIABLE = re.compile(r"\bDROPVIZ_[A-Z0-9_]*[A-Z0-9]\b")
FILES = ("DROPVIZ_ADMIN_TOKEN_FILE", "DROPVIZ_METRICS_TOKEN_FILE")
CARDS_SECONDS = 60.0  # for a torch on a cold disk


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
    elif driver:
        yield _with_driver(chosen, found)
    elif chosen.startswith("cuda"):
        yield (
            "problem",
            f"{found}; no NVIDIA driver is here",
            "Set DROPVIZ_DEVICE=cpu, or install the driver.",
        )
    elif chosen == "cpu":
        yield "warning", f"{found}; no graphics card", "Nothing: every preset fits a CPU."
    else:
        yield "ok", found, ""


def _with_driver(chosen: str, found: str) -> Answer:
    """What torch says of the cards; a device file and a version say nothing of the driver's age or of a build of one's own."""
    cards = _cards()
    wanted = int(chosen.partition(":")[2] or 0)
    install = (
        "install the CUDA build of torch that fits the driver: see Size, device, settings in the README."
    )
    if chosen.startswith("cuda") and wanted >= cards:
        count = "no device that it can use" if cards == 0 else f"only {cards}, counted from 0"
        return (
            "problem",
            f"{found}; CUDA of this torch finds {count}",
            f"Set DROPVIZ_DEVICE=cpu, or {install}",
        )
    if not chosen.startswith("cuda") and cards == 0:
        return (
            "warning",
            f"{found}; there is an NVIDIA driver, and this torch cannot use it",
            f"To train on it, {install}",
        )
    return "ok", f"{found}; torch can use {cards} by CUDA", ""


def _cards() -> int:
    """How many devices torch can use by CUDA; asked in a process of its own, which takes a second or two."""
    ask = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ask], capture_output=True, text=True, timeout=CARDS_SECONDS
        )
        return int(done.stdout) if done.returncode == 0 else 0
    except (subprocess.TimeoutExpired, ValueError):
        return 0


@check("extensions")
def extensions(_: Context) -> Iterator[Answer]:
    """Whether what the settings name can be used."""
    found = brought()
    for one in found:
        for problem in one.problems:
            yield "warning", problem, "dropviz check-extensions says more."
    parts = sum(len(one.parts) for one in found)
    yield "ok", f"{len(found)} bring {parts} parts" if found else "none", ""
