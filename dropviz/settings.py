"""Where things live and how much this machine may use, read from the environment each time. Never imports torch."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from importlib import metadata
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
NVIDIA_DRIVER = Path("/dev/nvidiactl")
STORES = ("sqlite:///", "postgresql+psycopg://")


@cache
def version_of(package: str) -> str:
    """The installed version of a package, which is read from its files once: that takes a millisecond."""
    return metadata.version(package)


def data_dir() -> Path:
    """The directory that holds the store, the checkpoints and the engine's lock: ``$DROPVIZ_DATA`` or the default.

    Raises:
        ValueError: ``DROPVIZ_DATA`` names something that is not a directory.
    """
    return _directory("DROPVIZ_DATA", "~/.local/share/dropviz")


def cache_dir() -> Path:
    """The directory that fetched data sets are kept in: ``$DROPVIZ_CACHE``, else ``datasets`` in the data directory.

    Raises:
        ValueError: ``DROPVIZ_CACHE``, or without it ``DROPVIZ_DATA``, names something that is not a directory.
    """
    named = os.environ.get("DROPVIZ_CACHE", "").strip()
    return _directory("DROPVIZ_CACHE", named) if named else data_dir() / "datasets"


def _directory(variable: str, default: str) -> Path:
    text = os.environ.get(variable, "").strip()
    try:
        path = Path(text or default).expanduser()
        usable = not path.exists() or path.is_dir()  # in this order: another process may be making it
    except (RuntimeError, OSError) as error:  # no such home, or a folder that may not be searched
        raise ValueError(f"{variable} = {text!r} cannot be used ({error}): name another directory.") from None
    if not usable:
        raise ValueError(
            f"{variable} = {text!r} is not a directory: name one, or a path that can be created."
        )
    return path.absolute()


def store_url() -> str:
    """The URL of the store: ``$DROPVIZ_STORE``, else a SQLite file in the data directory.

    Raises:
        ValueError: ``DROPVIZ_STORE`` is no URL of a store.
    """
    url = os.environ.get("DROPVIZ_STORE", "").strip() or f"sqlite:///{data_dir() / 'dropviz.db'}"
    if not url.startswith(STORES) or url in STORES:
        raise ValueError(
            f"DROPVIZ_STORE = {without_password(url)!r} is no URL of a store: write sqlite:///PATH, or"
            " postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
        )
    return url


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    return re.sub(r"(?<=://)([^/@:]*):.*@", r"\1:***@", url)


def engine() -> str:
    """Where jobs run: ``$DROPVIZ_ENGINE``.

    ``local``, the default, is an engine that the page's process, or a command, keeps for as long as it needs one. With ``none``
    they start none: engines run elsewhere (``dropviz engine``).

    Raises:
        ValueError: ``DROPVIZ_ENGINE`` is no such thing.
    """
    text = os.environ.get("DROPVIZ_ENGINE", "").strip() or "local"
    if text not in ("local", "none"):
        raise ValueError(f"DROPVIZ_ENGINE = {text!r} is no engine: choose local or none.")
    return text


def files_dir() -> Path | None:
    """The folder of a user's own files that ``$DROPVIZ_FILES`` names, mounted and only read; None where it is not set.

    Raises:
        ValueError: ``DROPVIZ_FILES`` names something that is not a directory.
    """
    return _existing("DROPVIZ_FILES")


def lessons_dir() -> Path | None:
    """The folder of a teacher's own lessons that ``$DROPVIZ_LESSONS`` names; None where it is not set.

    Raises:
        ValueError: ``DROPVIZ_LESSONS`` names something that is not a directory.
    """
    return _existing("DROPVIZ_LESSONS")


def _existing(variable: str) -> Path | None:
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    if not os.path.isdir(os.path.expanduser(text)):
        raise ValueError(f"{variable} = {text!r} is not a directory: name one, or unset it.")
    return Path(text).expanduser().absolute()


def extension_paths() -> list[Path]:
    """The files and folders that ``$DROPVIZ_EXTENSIONS`` names, as ``$PATH`` names folders; see ``extensions``."""
    parts = os.environ.get("DROPVIZ_EXTENSIONS", "").split(os.pathsep)
    return [Path(os.path.expanduser(part.strip())).absolute() for part in parts if part.strip()]


def weights_bytes() -> int:
    """What the weights that a job keeps for scrubbing may take: ``$DROPVIZ_WEIGHTS_MB`` in MiB, by default 64; 0 keeps none.

    Raises:
        ValueError: ``DROPVIZ_WEIGHTS_MB`` is not a whole number.
    """
    text = os.environ.get("DROPVIZ_WEIGHTS_MB", "").strip() or "64"
    if not text.isdecimal():
        raise ValueError(
            f"DROPVIZ_WEIGHTS_MB = {text!r} is not possible: give a whole number, or 0 to keep none."
        )
    return int(text) * 2**20


def step_seconds() -> float:
    """How long a job may go without a step before it fails: ``$DROPVIZ_STEP_MINUTES``, by default 30 minutes; 0 is for ever.

    An evaluation of a large network on much data counts as no step, and may take minutes.

    Raises:
        ValueError: ``DROPVIZ_STEP_MINUTES`` is not a number from 0.
    """
    text = os.environ.get("DROPVIZ_STEP_MINUTES", "").strip() or "30"
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError(
            f"DROPVIZ_STEP_MINUTES = {text!r} is not possible: give minutes, or 0 to wait for ever."
        )
    return 60.0 * float(text) or float("inf")


def cores() -> int:
    """The processor cores this process may use: its affinity, and a container's quota where there is one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
        count = min(count, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no control group, or "max": no quota
    return count


def slots() -> int:
    """How many jobs run at once: ``$DROPVIZ_SLOTS``, else one core fewer than there are, so that the page stays quick.

    Raises:
        ValueError: ``DROPVIZ_SLOTS`` is not a whole number above 0.
    """
    text = os.environ.get("DROPVIZ_SLOTS", "").strip()
    if not text:
        return max(1, cores() - 1)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"DROPVIZ_SLOTS = {text!r} is not possible: give a whole number above 0.")
    return int(text)


def threads(jobs: int) -> int:
    """Threads of each of so many jobs: together they leave one core to the page and the store.

    Threads that wait for each other lose most of their speed when something else takes one of their cores:
    8 small networks on 2 cores made 700 steps a second with one thread, and 40 with two beside a busy page.
    """
    return max(1, (cores() - 1) // jobs)


def device() -> str:
    """The device that jobs train on: ``$DROPVIZ_DEVICE``, else cuda, then mps, then cpu, whichever is there.

    A CUDA driver counts only if the installed torch is not a CPU build.

    Raises:
        ValueError: ``DROPVIZ_DEVICE`` is none of cpu, mps, cuda or cuda:N.
    """
    text = os.environ.get("DROPVIZ_DEVICE", "").strip()
    if text:
        if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", text):
            raise ValueError(f"DROPVIZ_DEVICE = {text!r} is not a device: choose cpu, mps, cuda or cuda:N.")
        return text
    if NVIDIA_DRIVER.exists() and "+cpu" not in version_of("torch"):
        return "cuda"
    return "mps" if (platform.system(), platform.machine()) == ("Darwin", "arm64") else "cpu"


def device_class() -> str:
    """The kind of device, which a result's key covers: cpu, cuda or mps."""
    return device().partition(":")[0]
