"""Processes that do not outlive the one that started them: by a signal from the kernel, and by a pipe.

The pipe works everywhere: its write end is held by the parent alone, so its end of file means that the parent
is gone, however it went. The signal works on Linux and even in a process that hangs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

PR_SET_PDEATHSIG = 1


def death_signal() -> Callable[[], None]:
    """A function that asks the kernel to kill this process when the thread that started it ends.

    The library is loaded here and not in the function, which may run between fork and exec.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; a lifeline covers a parent that ended before."""
    death_signal()()


def exit_when_closed(end: Any) -> threading.Thread:
    """Start a thread that ends this process at once when ``end``, a descriptor or sentinel, is closed elsewhere."""

    def watch() -> None:
        wait([end])
        os._exit(1)

    thread = threading.Thread(target=watch, name="lifeline", daemon=True)
    thread.start()
    return thread
