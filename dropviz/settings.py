"""Where things live and how much this machine may use, read from the environment each time. Never imports torch."""

from __future__ import annotations

import logging
import os
import platform
import re
from functools import cache
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from urllib.parse import urlsplit

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
NVIDIA_DRIVER = Path("/dev/nvidiactl")
STORES = ("sqlite:///", "postgresql+psycopg://")
SHORTEST_TOKEN = 16
NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")  # a folder each
LOOPBACK = ("localhost", "127.0.0.1", "::1")


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
    they start none: engines run elsewhere (``dropviz engine``). With the URL of a Dask scheduler the engine has its cluster do
    the work.

    Raises:
        ValueError: ``DROPVIZ_ENGINE`` is no such thing, or would send work unencrypted over a network.
    """
    text = os.environ.get("DROPVIZ_ENGINE", "").strip() or "local"
    if text not in ("local", "none"):
        _check_scheduler(text)
    return text


def _check_scheduler(url: str) -> None:
    """Whoever can talk to a scheduler can have its workers run code, so beyond this machine it takes certificates."""
    named = f"DROPVIZ_ENGINE = {url!r}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if (
        not host
        or not port
        or parts.scheme not in ("tcp", "tls")
        or url != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValueError(
            f"{named} is no engine: write local, none, tls://HOST:PORT, or on this machine tcp://127.0.0.1:PORT."
        )
    address = parts.netloc.rpartition("@")[2]
    if address != parts.netloc:
        raise ValueError(
            f"DROPVIZ_ENGINE names a user, but a Dask scheduler knows none: write {parts.scheme}://{address}."
        )
    if parts.scheme == "tcp" and host not in LOOPBACK:
        raise ValueError(
            f"{named} would go over a network unencrypted, and anybody there could run code on the workers: write"
            f" tls://{address}, and name certificates in DROPVIZ_TLS_CA, DROPVIZ_TLS_CERT and DROPVIZ_TLS_KEY."
        )


def tls_files() -> dict[str, Path]:
    """The files that an engine proves itself with: ``$DROPVIZ_TLS_CA``, ``_CERT`` and ``_KEY``, as ``ca``, ``cert``, ``key``.

    Raises:
        ValueError: One of them is not set, or cannot be read.
    """
    found = {}
    for part in ("ca", "cert", "key"):
        variable = f"DROPVIZ_TLS_{part.upper()}"
        path = Path(os.path.expanduser(os.environ.get(variable, "").strip() or "."))
        if path == Path():
            raise ValueError(
                f"{variable} is not set, and a tls:// engine needs it: name a file in PEM format."
            )
        try:
            path.open("rb").close()
        except OSError as error:
            raise ValueError(
                f"{variable} = {str(path)!r} cannot be read ({error.strerror}): name a file in PEM format."
            ) from None
        found[part] = path.absolute()
    return found


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


def hosts() -> tuple[str, ...] | None:
    """The names that the server is reached by, beside those of this computer: ``$DROPVIZ_HOSTS``, with commas between them.

    Returns:
        None where nothing is set: then one that listens to the network answers to any name.

    Raises:
        ValueError: One of them is not a name or an address.
    """
    text = os.environ.get("DROPVIZ_HOSTS", "").strip()
    if not text:
        return None
    names = tuple(part.strip().lower().strip("[]") for part in text.split(",") if part.strip())
    for name in names:
        if not re.fullmatch(r"[a-z0-9.:_-]+", name) or name.count(":") == 1:
            raise ValueError(
                f"DROPVIZ_HOSTS names {name!r}, which is no name of a server: write names as in dropviz.example.org, without port."
            )
    return names


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


def admin_token() -> str | None:
    """What an administrator types: ``$DROPVIZ_ADMIN_TOKEN``, or what the file that ``$DROPVIZ_ADMIN_TOKEN_FILE`` names holds.

    Returns:
        The token, or None where neither is set: then there is no administration.

    Raises:
        ValueError: Both are set, the file cannot be read, or the token is too short to be safe.
    """
    return _token("DROPVIZ_ADMIN_TOKEN")


def metrics_are_served() -> bool:
    """Whether ``/metrics`` is there: with ``$DROPVIZ_METRICS`` = 1 for everybody, else for who has the ``metrics_token``.

    Raises:
        ValueError: ``DROPVIZ_METRICS`` is neither 0 nor 1, or the token cannot be used.
    """
    return _choice("DROPVIZ_METRICS", "0", "1") == "1" or metrics_token() is not None


def metrics_token() -> str | None:
    """What a scrape of ``/metrics`` has to send: ``$DROPVIZ_METRICS_TOKEN``, or what the file ``…_TOKEN_FILE`` holds; None: nothing.

    Raises:
        ValueError: As with ``admin_token``.
    """
    return _token("DROPVIZ_METRICS_TOKEN")


def _token(variable: str) -> str | None:
    """A secret, from a variable or from a file; no message repeats it."""
    text, file = (os.environ.get(name, "").strip() for name in (variable, f"{variable}_FILE"))
    if text and file:
        raise ValueError(f"{variable} and {variable}_FILE are both set: keep one of them.")
    if file:
        try:
            text = Path(file).expanduser().read_text("utf-8").strip()
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{variable}_FILE = {file!r} cannot be read ({error}): name a text file."
            ) from None
    if not text and not file:
        return None
    if len(text) < SHORTEST_TOKEN:
        raise ValueError(
            f"{variable} has {len(text)} characters: give it at least {SHORTEST_TOKEN}, such as those of"
            " `openssl rand -hex 16`."
        )
    return text


def log_format() -> str:
    """How processes log: ``$DROPVIZ_LOG``, which is ``text``, the default, or ``json``.

    Raises:
        ValueError: It is neither.
    """
    return _choice("DROPVIZ_LOG", "text", "json")


def log_level() -> int:
    """From which level on they log: ``$DROPVIZ_LOG_LEVEL``, of which ``info`` is the default.

    Raises:
        ValueError: It is not a level.
    """
    return getattr(logging, _choice("DROPVIZ_LOG_LEVEL", "info", "debug", "warning", "error").upper())


def keep_days() -> float | None:
    """After how many days the engine deletes what nobody keeps: ``$DROPVIZ_KEEP_DAYS``; None, the default, never.

    Raises:
        ValueError: ``DROPVIZ_KEEP_DAYS`` is not a number of days above 0.
    """
    text = os.environ.get("DROPVIZ_KEEP_DAYS", "").strip()
    return days_of("DROPVIZ_KEEP_DAYS", text) if text else None


def keep_bytes() -> int | None:
    """How much the store may take until the engine deletes what is oldest: ``$DROPVIZ_KEEP_BYTES``; None: no limit.

    Raises:
        ValueError: ``DROPVIZ_KEEP_BYTES`` is not a size.
    """
    text = os.environ.get("DROPVIZ_KEEP_BYTES", "").strip()
    return bytes_of("DROPVIZ_KEEP_BYTES", text) if text else None


def days_of(name: str, text: str) -> float:
    """``30``, ``30d``, ``12h`` or ``2w`` as days.

    Raises:
        ValueError: It is none of these, or not above 0.
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([hdw]?)", text.strip())
    days = float(match[1]) * {"h": 1 / 24, "w": 7.0}.get(match[2], 1.0) if match else 0.0
    if days <= 0:
        raise ValueError(
            f"{name} = {text[:40]!r} is not possible: give days above 0, such as 30d, 12h or 2w."
        )
    return days


def bytes_of(name: str, text: str) -> int:
    """``500M``, ``5G`` or ``1.5T`` as bytes, by powers of 1000; a number alone counts bytes.

    Raises:
        ValueError: It is none of these.
    """
    match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if not match:
        raise ValueError(f"{name} = {text[:40]!r} is not possible: give a size such as 500M or 5G.")
    return int(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))


def _choice(variable: str, default: str, *others: str) -> str:
    text = os.environ.get(variable, "").strip().lower() or default
    if text not in (default, *others):
        raise ValueError(f"{variable} = {text!r} is not possible: choose {', '.join((default, *others))}.")
    return text


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
    if NVIDIA_DRIVER.exists() and "+cpu" not in version_of("torch") and _visible_gpus() != []:
        return "cuda"
    return "mps" if (platform.system(), platform.machine()) == ("Darwin", "arm64") else "cpu"


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


def device_class() -> str:
    """The kind of device, which a result's key covers: cpu, cuda or mps."""
    return device().partition(":")[0]
