"""Who stands still in the middle of a change keeps others from writing, and would for ever: they are made to let go.

Their silence cannot be told to a store that cannot be written.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet

from dropviz.store import StoreError
from dropviz.store.database.base import Database

LOOK_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Looks:
    """Who keeps others from writing, look after look.

    Args:
        holders: Says who does at this moment; see ``Database.holders``.
        patience: Seconds for which one may.
    """

    def __init__(self, holders: Callable[[], AbstractSet[Hashable]], patience: float) -> None:
        self._holders, self._patience = holders, patience
        self._counts: dict[Hashable, int] = {}

    def look(self) -> set[Hashable]:
        """Those that were found at every look for longer than that; looks are made every ``LOOK_SECONDS``.

        They are counted, not timed: when this process stood still itself, so may have all others.
        """
        self._counts = {one: self._counts.get(one, 0) + 1 for one in self._holders()}
        return {one for one, looks in self._counts.items() if looks * LOOK_SECONDS > self._patience}


def watch(database: Database, kill: Callable[[int], bool]) -> None:
    """Make those let go, from a thread of its own, who do not by themselves.

    Args:
        database: The store's.
        kill: Kills a process of this machine if it is one's own to kill, and says whether it was.
    """
    threading.Thread(target=_watch, args=(database, kill), name="holder", daemon=True).start()


def _watch(database: Database, kill: Callable[[int], bool]) -> None:
    looks, said, trouble = Looks(database.holders, database.patience), set[Hashable](), ""
    pause = threading.Event()
    while not pause.wait(LOOK_SECONDS):
        try:
            found = looks.look()
            for holder in found - said:  # it is said once of each that is not ours
                if who := database.end(holder, kill):
                    logger.warning("in the middle of a change for %.0f s: %s", database.patience, who)
            said, trouble = found, ""
        except StoreError:  # where it is away, nobody holds it
            continue
        except Exception as error:  # whatever it is, the next look may go well
            if f"{error}" != trouble:
                trouble = f"{error}"
                logger.exception("nobody knows who holds the store; the next look is made all the same")
