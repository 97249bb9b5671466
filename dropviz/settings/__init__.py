"""Where things live, what this machine may do and how it is served, read from the environment each time. Never imports torch."""

from collections.abc import Callable, Iterable

from dropviz.settings.keeping import bytes_of, days_of, keep_bytes, keep_days
from dropviz.settings.machine import (
    cores,
    device,
    device_class,
    gpus,
    slots,
    step_seconds,
    threads,
    version_of,
    weights_bytes,
)
from dropviz.settings.places import (
    cache_dir,
    data_dir,
    extension_paths,
    files_dir,
    lessons_dir,
    store_url,
    without_password,
)
from dropviz.settings.serving import (
    SHORTEST_TOKEN,
    admin_token,
    engine,
    hosts,
    log_format,
    log_level,
    metrics_are_served,
    metrics_token,
    tls_files,
)

__all__ = [
    "FOR_PAGES",
    "FOR_WORK",
    "SHORTEST_TOKEN",
    "admin_token",
    "bytes_of",
    "cache_dir",
    "check",
    "cores",
    "data_dir",
    "days_of",
    "device",
    "device_class",
    "engine",
    "extension_paths",
    "files_dir",
    "gpus",
    "hosts",
    "keep_bytes",
    "keep_days",
    "lessons_dir",
    "log_format",
    "log_level",
    "metrics_are_served",
    "metrics_token",
    "problems",
    "slots",
    "step_seconds",
    "store_url",
    "threads",
    "tls_files",
    "version_of",
    "weights_bytes",
    "without_password",
]

Reading = Callable[[], object]


def _certificates() -> None:
    """Those of an engine that has to have some."""
    if engine().startswith("tls://"):
        tls_files()


FOR_WORK: tuple[Reading, ...] = (
    data_dir,
    store_url,
    cache_dir,
    files_dir,
    extension_paths,
    weights_bytes,
    slots,
    device,
    step_seconds,
    engine,
    _certificates,
    log_format,
    log_level,
    keep_days,
    keep_bytes,
)
FOR_PAGES: tuple[Reading, ...] = (lessons_dir, hosts, admin_token, metrics_are_served, metrics_token)


def check(readings: Iterable[Reading]) -> None:
    """Read settings before anything depends on them: ``FOR_WORK`` those of engines and commands, ``FOR_PAGES`` the rest.

    Raises:
        ValueError: Names the first that is not possible, the rule and the fix.
    """
    for read in readings:
        read()


def problems() -> list[str]:
    """A sentence for each of all of them that is not possible."""
    found = []
    for read in (*FOR_WORK, *FOR_PAGES):
        try:
            read()
        except ValueError as error:
            found.append(str(error))
    return list(dict.fromkeys(found))
