"""Runs of this machine's store as files, and exported runs into it: the commands ``export`` and ``import``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dropviz.choices import shown, unknown_name
from dropviz.export import check_writable
from dropviz.export.archive import MOST_BYTES, opened
from dropviz.export.files import whole
from dropviz.store import Experiment, Store
from dropviz.web.exports import FORMATS, NO_WEIGHTS, make, stem

FOLDERS = {"scripts": "scripts", "tensorboard": "tensorboard", "safetensors": "weights"}


def export_run(run: str, formats: Sequence[str], out: Path) -> int:
    """Write a run in these formats into a folder.

    Args:
        run: Its id, or a link to it.
        formats: Of ``FORMATS``; what has several files gets a folder of its own.
        out: Where they go.

    Returns:
        The exit code, 0.

    Raises:
        ValueError: There is no such run or format, nothing to write, or the folder cannot be written.
    """
    view_id = _view_id(run)
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
    check_writable(out)
    store = Store.open()
    try:
        experiment = store.experiment(view_id)
        for name in dict.fromkeys(formats):
            print(f"Written: {_write(store, experiment, name, out)}")
    finally:
        store.close()
    return 0


def _view_id(run: str) -> str:
    found = re.fullmatch(r"(?:.*[?&]run=)?([0-9a-f]{32})(?:&.*)?", run.strip())
    if found is None:
        raise ValueError(f"{shown(run)} is not a run: give its id, or the link to it (Share in the Lab).")
    return found[1]


def _write(store: Store, experiment: Experiment, name: str, out: Path) -> Path:
    if name == "zip":
        path = out / f"{stem(experiment)}.zip"
        with whole(path) as temporary, temporary.open("wb") as file:
            make(store, experiment, name, file)
        return path
    folder = out / FOLDERS[name] if name in FOLDERS else out
    path = folder
    for path_in_folder, content in FORMATS[name].files(store, experiment):
        path = folder / path_in_folder
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as temporary:
            temporary.write_bytes(content)
    if path == folder:
        raise ValueError(NO_WEIGHTS)
    return folder if name in FOLDERS else path


def import_run(path: Path) -> int:
    """Take an exported zip into the store and say where it is seen.

    Returns:
        The exit code, 0.

    Raises:
        ValueError: It cannot be read, or is no exported run.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(
                f"{str(path)!r} has more than the {MOST_BYTES:,} bytes that an exported run may have."
            )
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error.strerror}): name an exported zip.") from None
    imported = opened(content)
    store = Store.open()
    try:
        view_id = store.keep_import(imported, owner="command line")
    finally:
        store.close()
    print(f"Imported: {imported.spec.title()}\n`dropviz serve` shows it at /lab?run={view_id}")
    return 0
