"""What no input may do, whatever it is: run anything, change a file of elsewhere, take the memory, or take for ever."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

FORBIDDEN = (
    "pickle.find_class",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "ctypes.dlopen",
    "shutil.rmtree",
    "socket.connect",
)
MAKING_CODE = (
    "importlib",
    "_plotly_utils",
)  # a named tuple of a module that is imported; a validator by its name
MORE_MEMORY = 1_000_000_000  # bytes, above what the process has
LONGEST_SECONDS = 60  # on a busy machine; what takes this long does not end
WRITING, WRITING_FLAGS = ("w", "a", "x", "+"), os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGING = {  # what changes files otherwise → how many paths it names
    "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.truncate": 1, "os.chmod": 1, "os.chown": 1, "os.utime": 1,
    "os.rename": 2, "os.link": 2, "os.symlink": 2, "sqlite3.connect": 1,
}  # fmt: skip

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
    if event.startswith(FORBIDDEN) or (event == "exec" and _is_made_up(arguments[0])):
        _broken.append(f"{event} {arguments}"[:200])
    elif event == "open" and _writes(*arguments[1:]):
        _check_place(event, arguments[0])
    elif event in CHANGING:
        for path in arguments[: CHANGING[event]]:
            _check_place(event, path)


def _is_made_up(code: CodeType) -> bool:
    """Whether code that is to run comes from no file, and from nobody who makes such code by himself."""
    if not code.co_filename.startswith("<") or code.co_filename.startswith("<frozen"):
        return False
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if any(name in frame.f_code.co_filename for name in MAKING_CODE):
            return False
        frame = frame.f_back
    return True


def _writes(mode: str | None, flags: int) -> bool:
    """By the mode of ``open``, or the flags of ``os.open``, which has none."""
    return any(letter in mode for letter in WRITING) if mode else bool(flags & WRITING_FLAGS)


def _check_place(event: str, named: object) -> None:
    if isinstance(named, int):  # of a file that is open, which was checked
        return
    path = Path(os.fsdecode(named)).resolve()  # type: ignore[arg-type]
    if not any(path.is_relative_to(folder) for folder in (*(_folders or ()), Path("/dev"))):
        _broken.append(f"{event} of {path}")


sys.addaudithook(_hear)  # for good: there is no way to take one off
