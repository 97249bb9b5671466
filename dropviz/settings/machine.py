"""What this machine has and how much of it jobs may use."""

from __future__ import annotations

import os
import platform
import re
import sys
from functools import cache
from importlib import metadata
from itertools import takewhile
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
NVIDIA_DRIVER = Path("/dev/nvidiactl")
NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")  # a folder each


@cache
def version_of(package: str) -> str:
    """The installed version of a package, which is read from its files once: that takes a millisecond."""
    # Of a copy: Streamlit's threads change sys.path, and who walks through a list that shrinks leaves one entry out.
    found = next(iter(metadata.distributions(name=package, path=list(sys.path))), None)
    if found is None:
        raise metadata.PackageNotFoundError(package)
    return found.version


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
    if NVIDIA_DRIVER.exists() and "+cpu" not in version_of("torch") and _visible_gpus() != []:
        return "cuda"
    return "mps" if (platform.system(), platform.machine()) == ("Darwin", "arm64") else "cpu"


def device_class() -> str:
    """The kind of device, which a result's key covers: cpu, cuda or mps."""
    return device().partition(":")[0]


def gpus() -> list[str]:
    """The NVIDIA GPUs that may be used, by CUDA's names for them: those of ``$CUDA_VISIBLE_DEVICES``, else all there are."""
    visible = _visible_gpus()
    if visible is not None:
        return visible
    return [str(number) for number, _ in enumerate(NVIDIA_GPUS.glob("*"))]


def _visible_gpus() -> list[str] | None:
    """What ``$CUDA_VISIBLE_DEVICES`` lists, as CUDA reads it: up to the first name that is no device; None if it is not set."""
    text = os.environ.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    names = (name.strip() for name in text.split(","))
    return list(takewhile(lambda name: name and not name.startswith("-"), names))


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
