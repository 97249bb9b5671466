"""What the engine does once a day: deleting what is old, where the settings say so, from a thread of its own."""

from __future__ import annotations

import logging
import threading
import time

from dropviz import logs, settings
from dropviz.store import Store, StoreError
from dropviz.store.pruning import DAY, Rules, carry_out, plan, plan_uploads
from dropviz.store.pruning.lock import pruning

FIRST_SECONDS = 600.0  # an engine that has just started has other things to do

logger = logging.getLogger(__name__)


class DailyPrune:
    """Prunes a store by ``DROPVIZ_KEEP_DAYS`` and ``DROPVIZ_KEEP_BYTES``; without these only uploads that nothing names.

    Raises:
        ValueError: One of the settings is not possible.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rules = Rules(days=settings.keep_days(), bytes=settings.keep_bytes())
        self._due_at = time.monotonic() + FIRST_SECONDS

    def turn(self) -> None:
        """Begin, if a day has passed."""
        if time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + DAY
            threading.Thread(target=self.run, name="prune", daemon=True).start()

    def run(self) -> None:
        """Prune now, unless another engine does."""
        try:
            with pruning(self.store.database) as alone:
                if alone:
                    self._prune()
                else:
                    logger.info("another process prunes the store")
        except (StoreError, OSError) as error:  # tomorrow is another day
            logger.warning("pruning failed: %s", error)

    def _prune(self) -> None:
        planned = plan(self.store, self.rules) if self.rules else plan_uploads(self.store)
        for warning in planned.warnings:
            logger.warning("%s", warning)
        carry_out(self.store, planned)
        counts = {"experiments": len(planned.experiments), "jobs": len(planned.jobs)}
        counts |= {"uploads": len(planned.uploads), "bytes": planned.bytes}
        if planned or self.rules:
            logger.info("pruned", extra=logs.of(**counts))
