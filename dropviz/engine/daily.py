"""What the engine does once a day where the settings say so: deleting what is old, from a thread of its own."""

from __future__ import annotations

import logging
import threading
import time

from dropviz import logs, settings
from dropviz.store import Store, StoreError
from dropviz.store.pruning import DAY, Rules, carry_out, plan

FIRST_SECONDS = 600.0  # an engine that has just started has other things to do

logger = logging.getLogger(__name__)


class DailyPrune:
    """Prunes a store by ``DROPVIZ_KEEP_DAYS`` and ``DROPVIZ_KEEP_BYTES``; without these never.

    Raises:
        ValueError: One of the settings is not possible.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rules = Rules(days=settings.keep_days(), bytes=settings.keep_bytes())
        self._due_at = time.monotonic() + FIRST_SECONDS

    def turn(self) -> None:
        """Begin, if a day has passed."""
        if self.rules and time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + DAY
            threading.Thread(target=self.run, name="prune", daemon=True).start()

    def run(self) -> None:
        """Prune now."""
        try:
            planned = plan(self.store, self.rules)
            carry_out(self.store, planned)
        except (StoreError, OSError) as error:  # tomorrow is another day
            logger.warning("pruning failed: %s", error)
            return
        about = logs.of(experiments=len(planned.experiments), jobs=len(planned.jobs), bytes=planned.bytes)
        logger.info("pruned", extra=about)
