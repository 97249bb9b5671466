"""Garbage collection in a process that serves for weeks."""

from __future__ import annotations

import gc


def freeze_what_stays() -> None:
    """Take what is there now out of garbage collection, as there for good: call it when all is imported and opened.

    A whole collection waits until a quarter as many objects have been added as the last one left, and halts all threads. Without
    what was imported it comes soon and is short; with it what waits for one grows for hours.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # the next one waits for a quarter of what this one leaves: of next to nothing
