"""Memory of a process that serves for weeks: what stays is not collected, what was freed goes back."""

from __future__ import annotations

import ctypes
import gc


def freeze_what_stays() -> None:
    """Take what is there now out of garbage collection, as there for good: call it when all is imported and opened.

    A whole collection waits until a quarter as many objects have been added as the last one left, and halts all threads. Without
    what was imported it comes soon and is short; with it what waits for one grows for hours.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # the next one waits for a quarter of what this one leaves: of next to nothing


def give_back() -> None:
    """Give what was freed back to the system, also from between what is in use; nothing where the C library has no ``malloc_trim``.

    By itself glibc gives back the end of its heap alone, and what many threads free lies between what others hold.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))
