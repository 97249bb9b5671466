"""All of an experiment in one zip, and the zip as an experiment again: read with suspicion, and never unpacked to disk."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from dropviz.choices import SpecError
from dropviz.export import record
from dropviz.export.events import event_file
from dropviz.export.files import table_files
from dropviz.export.series import Series, file_name, series_of
from dropviz.export.weights import weight_files
from dropviz.store import Experiment, Store
from dropviz.store.imports import ImportedExperiment

MOST_BYTES = 64_000_000  # of a zip that is opened, and of the numbers in it
MOST_TEXT_BYTES = 8_000_000  # of run.json
MOST_DIRECTORY_BYTES = 4_000_000  # of the zip's own list of what it holds: some 50,000 files
RUN, NUMBERS = "run.json", "run.safetensors"
Member = tuple[str, bytes]
DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    ValueError,
    OSError,
    EOFError,
    struct.error,
    zlib.error,
)


def event_members(store: Store, experiment: Experiment) -> Iterator[Member]:
    """An event file an arm and seed, in folders as TensorBoard names runs."""
    wall_time = experiment.created_at
    by_run: dict[tuple[str, int], list[Series]] = {}
    for one in series_of(store, experiment):
        by_run.setdefault((one.arm, one.seed), []).append(one)
    for (arm, seed), series in by_run.items():
        name = f"{file_name(arm)}/seed-{seed}/events.out.tfevents.{wall_time:.0f}.dropviz"
        yield name, event_file(series, wall_time)


def members(store: Store, experiment: Experiment) -> Iterator[Member]:
    """All that there is of an experiment, but for weights of earlier steps than the last; one at a time is in memory."""
    yield from table_files(store, experiment)
    yield from zip((RUN, NUMBERS), record.written(store, experiment), strict=True)
    yield from ((f"tensorboard/{name}", content) for name, content in event_members(store, experiment))
    files = weight_files(store, experiment, last_only=True)
    yield from ((f"weights/{name}", content) for name, content in files)


def write_zip(to: Path | IO[bytes], files: Iterable[Member]) -> None:
    """Write members as they come; equal members make equal files."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name)  # of 1980, whenever it is written
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)


def opened(content: bytes) -> ImportedExperiment:
    """The experiment that an exported zip holds.

    Raises:
        SpecError: One sentence about what is wrong with the file.
    """
    return record.read(*unpacked(content))


def unpacked(content: bytes) -> tuple[bytes, bytes]:
    """``run.json`` and ``run.safetensors`` of an exported zip, all that is read of it, in memory.

    Raises:
        SpecError: One sentence about what is wrong with the file.
    """
    if len(content) > MOST_BYTES:
        raise SpecError(f"The file has {len(content):,} bytes, and an exported run may have {MOST_BYTES:,}.")
    _check_directory(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            run = _read(archive, RUN, MOST_TEXT_BYTES)
            numbers = _read(archive, NUMBERS, MOST_BYTES)
    except DAMAGE as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"The zip is damaged ({error}): download it again.") from None
    return run, numbers


def _check_directory(content: bytes) -> None:
    """Look at the end of the zip, which says how long its list is, before that list is read."""
    end = content.rfind(b"PK\x05\x06")
    if end < 0 or len(content) < end + 22:
        raise SpecError("The file is not a zip: choose one that DropViz exported (Keep, Everything).")
    (size,) = struct.unpack("<L", content[end + 12 : end + 16])
    is_large = content[max(0, end - 20) : end].startswith(b"PK\x06\x07")  # says it again in 64 bits
    if is_large or size > MOST_DIRECTORY_BYTES:
        raise SpecError(
            "The zip lists more files than an exported run has: choose one that DropViz exported."
        )


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member, but no more of it than may be there, whatever its header says."""
    entries = [entry for entry in archive.infolist() if entry.filename == name]
    if len(entries) != 1:
        raise SpecError(
            f"The zip holds {name} {len(entries) or 'no'} times: choose one that DropViz exported (Keep, Everything)."
        )
    (entry,) = entries
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SpecError(
            f"{name} in the zip is encrypted or packed in a way that is not read here: export it again."
        )
    with archive.open(entry) as file:
        content = _at_most(file, most)
    if content is None:
        raise SpecError(f"{name} in the zip has more than {most:,} bytes: no exported run has as much.")
    return content


def _at_most(file: IO[bytes], most: int) -> bytes | None:
    content = file.read(most + 1)
    return content if len(content) <= most else None
