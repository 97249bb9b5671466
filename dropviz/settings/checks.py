"""Which settings are read before anything depends on them, so that a mistake is said at the start and not in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dropviz.settings.keeping import keep_bytes, keep_days
from dropviz.settings.machine import device, slots, step_seconds, weights_bytes
from dropviz.settings.places import cache_dir, data_dir, extension_paths, files_dir, lessons_dir, store_url
from dropviz.settings.serving import (
    admin_token,
    engine,
    hosts,
    log_format,
    log_level,
    metrics_are_served,
    metrics_token,
    tls_files,
)

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
