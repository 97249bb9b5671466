"""What no input may do, whatever it is: write or run anything, open a file of elsewhere, take the memory, or take for ever."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

FORBIDDEN = (
    "pickle.find_class",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "shutil.rmtree",
    "socket.connect",
)
MORE_MEMORY = 1_000_000_000  # bytes, above what the process has
LONGEST_SECONDS = 60  # on a busy machine; what takes this long does not end
WRITING = ("w", "a", "x", "+")

_folders: tuple[Path, ...] | None = None
_broken: list[str] = []


class Broken(AssertionError):
    """An input did what none may."""


@contextmanager
def watched(*folders: Path) -> Iterator[None]:
    """Run something under watch; files may be written in these folders alone.

    Raises:
        Broken: It did something else.
    """
    global _folders
    _broken.clear()
    _folders = tuple(folder.resolve() for folder in folders)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_taken() + MORE_MEMORY, hard))
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(LONGEST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        _folders = None
    if _broken:
        raise Broken("; ".join(_broken))


def _taken() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _too_long(number: int, frame: FrameType | None) -> None:
    raise Broken(f"it took more than {LONGEST_SECONDS} s")


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _folders is None:
        return
    if event.startswith(FORBIDDEN):
        _broken.append(f"{event} {arguments}"[:200])
    elif (
        event == "open" and isinstance(arguments[0], str) and any(c in (arguments[1] or "") for c in WRITING)
    ):
        path = Path(arguments[0]).resolve()
        if not any(path.is_relative_to(folder) for folder in (*_folders, Path("/dev"))):
            _broken.append(f"it wrote {path}")


sys.addaudithook(_hear)  # for good: there is no way to take one off
