"""``dropviz restore``: a backup becomes the store of a data directory. All of it is verified before anything is put in place."""

from __future__ import annotations

import errno
import hashlib
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO

from dropviz import settings
from dropviz.commands.upkeep.archive import DATABASE, FORMAT, MANIFEST, NAME, Manifest, folders, place
from dropviz.engine import lock
from dropviz.store import Store
from dropviz.store.copying import schema_of
from dropviz.store.migrations import VERSION
from dropviz.store.parts import Parts

MOST_FILES = 2_000_000
MANIFEST_BYTES = 500 * 2**20
CHUNK = 2**20
SPARED_BYTES = 64 * 2**20  # of the disk, so that the store can be written to afterwards
DRAFT = ".restoring-"


def restore(path: Path, *, replace: bool) -> int:
    """Take a backup into the data directory.

    Args:
        path: What ``dropviz backup`` wrote.
        replace: Move a store that is there aside; without it, there must be none.

    Returns:
        The exit code, 0.

    Raises:
        ValueError: It is not a whole backup, newer than this program, or there is a store already, or one that is served.
    """
    parts = _target()
    lock.acquire()  # until this process ends: nobody serves meanwhile
    former = _former(parts)
    if former and not replace:
        raise ValueError(
            f"{parts.database.parent} has a store already: choose an empty DROPVIZ_DATA, or add --replace, which moves it aside."
        )
    with ExitStack() as stack:
        staged = _drafts(stack, parts.database.parent)
        manifest = _extract(path, staged)
        _upgrade(staged / DATABASE)
        ready = _carried(path, staged, parts, manifest.files, stack)
        if former:
            print(f"The former store is in {_move_aside(parts, former)}.")
        for name in sorted(ready, key=lambda name: name == DATABASE):  # the database last: it makes a store
            target = place(parts, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            ready[name].replace(target)
    print(
        f"Restored: {len(manifest.files):,} files of {manifest.created_at}. Jobs that were running are taken up again."
    )
    return 0


def _target() -> Parts:
    if not settings.store_url().startswith("sqlite:///"):
        raise ValueError(
            "The store is a PostgreSQL database, which is restored by its own tools, together with the files in"
            f" {settings.data_dir()}, while no page and no engine runs: docs/clusters.md has the commands under 'Backup and"
            " restore on PostgreSQL'."
        )
    parts = Parts.of_settings()
    parts.database.parent.mkdir(parents=True, exist_ok=True)
    return parts


def _former(parts: Parts) -> list[Path]:
    """What a store that is there consists of."""
    there = [path for path in folders(parts).values() if path.is_dir() and any(path.iterdir())]
    return parts.database_files + there + ([parts.secret] if parts.secret.exists() else [])


def _drafts(stack: ExitStack, beside: Path) -> Path:
    """A folder that goes when all is done."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(dir=beside, prefix=DRAFT)))


def _carried(
    path: Path, staged: Path, parts: Parts, names: Iterable[str], stack: ExitStack
) -> dict[str, Path]:
    """Name → its file on the disk that it belongs on: what belongs on another one is copied there while nothing is lost yet."""
    drafts: dict[Path, Path] = {}
    found = {}
    with _refusing(path):
        for name in names:
            folder = place(parts, f"{name.split('/')[0]}/-" if "/" in name else name).parent
            there = next(one for one in (folder, *folder.parents) if one.exists())
            if there not in drafts:
                drafts[there] = staged if _can_move(staged, there) else _drafts(stack, there)
            found[name] = drafts[there] / name
            if drafts[there] != staged:
                found[name].parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(staged / name, found[name])
    return found


def _can_move(staged: Path, there: Path) -> bool:
    """Tried, since a mount of the same disk is another one for this."""
    probe, moved = staged / ".probe", there / f"{staged.name}.probe"
    probe.touch()
    try:
        probe.replace(moved)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    moved.unlink()
    return True


def _move_aside(parts: Parts, former: list[Path]) -> Path:
    """Move what is there into a folder of its own; of a folder on another disk copy the content, and then delete it there.

    Raises:
        OSError: There is no room, or it is not allowed; then all is as before.
    """
    aside = parts.database.parent / time.strftime("replaced-%Y%m%d-%H%M%S", time.gmtime())
    aside.mkdir()
    moved, copied = [], []
    try:
        for path in former:
            if _moved(path, aside):
                moved.append(path)
            else:
                shutil.copytree(path, aside / path.name, ignore=shutil.ignore_patterns(f"{DRAFT}*"))
                copied.append(path)
    except OSError:
        for path in moved:
            (aside / path.name).rename(path)
        shutil.rmtree(aside)
        raise
    for path in copied:
        for entry in [one for one in path.iterdir() if not one.name.startswith(DRAFT)]:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    return aside


def _moved(path: Path, aside: Path) -> bool:
    if path.is_dir() and path.is_symlink():
        return False
    try:
        path.rename(aside / path.name)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EBUSY):  # another disk, a mount
            raise
        return False
    return True


def _extract(path: Path, folder: Path) -> Manifest:
    """Unpack a backup into an empty folder, and verify it: names, sizes, hashes, schema.

    Raises:
        ValueError: Something of it is not as a backup is.
    """
    found: dict[str, tuple[int, str]] = {}
    manifest = None
    with _refusing(path), tarfile.open(path, "r|") as tar:
        for member in tar:
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
                raise ValueError(f"{member.name[:80]!r} in it is not a file")
            if manifest is not None:
                raise ValueError("something follows its manifest")
            content = tar.extractfile(member)
            assert content is not None
            if member.name == MANIFEST:
                if member.size > MANIFEST_BYTES:
                    raise ValueError("its manifest is too large")
                manifest = Manifest.of_json(content.read())
                continue
            if NAME.fullmatch(member.name) is None or member.name in found:
                raise ValueError(f"{member.name[:80]!r} in it is no name of a backup")
            if len(found) >= MOST_FILES:
                raise ValueError(f"it has more than {MOST_FILES:,} files")
            if member.size > shutil.disk_usage(folder).free - SPARED_BYTES:
                raise ValueError("there is no room for it on the disk")
            found[member.name] = member.size, _unpack(content, folder / member.name)
        if manifest is None:
            raise ValueError("it has no manifest, so its end is missing")
        _verify(manifest, found)
    return manifest


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Every error becomes one sentence about the file."""
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(
            f"{str(path)!r} is not a backup ({error}): name what dropviz backup wrote."
        ) from None
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be restored ({error}): check it, and the disk.") from None
    except ValueError as error:
        raise ValueError(f"{str(path)!r} cannot be restored: {error}.") from None


def _verify(manifest: Manifest, found: dict[str, tuple[int, str]]) -> None:
    if manifest.format != FORMAT or manifest.schema > VERSION:
        raise ValueError(
            f"a newer DropViz ({manifest.version[:20]}) wrote it, with schema {manifest.schema}: update DropViz first"
        )
    if dict(manifest.files) != found:
        differing = {name for name, _ in manifest.files.items() ^ found.items()}
        raise ValueError(f"{min(differing)[:80]!r} in it is not what was backed up, so the file is damaged")
    if DATABASE not in found:
        raise ValueError("it has no database")


def _unpack(content: IO[bytes], target: Path) -> str:
    """Write a file, readable by its user alone, and return its SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as file:
        target.chmod(0o600)
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _upgrade(database: Path) -> None:
    """Open it as a store, which brings it to the current schema; the copy before that is the backup itself.

    Raises:
        ValueError: It is damaged, or of another program.
    """
    with closing(sqlite3.connect(database)) as connection:
        try:
            sound = connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
        except sqlite3.DatabaseError:
            sound = False
    if not sound or schema_of(database) is None:
        raise ValueError("The database in this backup is damaged: use another one.")
    Store.open(database).close()
