"""What the page's process sees to each minute, though nobody asks: readers that nobody uses, and memory that was freed."""

from __future__ import annotations

import asyncio
import logging

from anyio.to_thread import run_sync

from dropviz.memory import give_back
from dropviz.web import live

EVERY_SECONDS = 60.0

logger = logging.getLogger(__name__)


async def keep_house() -> None:
    """Tidy up each minute until cancelled, in a thread: meanwhile nobody waits."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await run_sync(tidy)
        except Exception:
            logger.exception("the page's process could not tidy up; it tries again in a minute")


def tidy() -> None:
    """Forget the readers that nobody has used for a while, and give back what was freed."""
    live.readers().forget()
    give_back()
