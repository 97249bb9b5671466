"""What a server has done before anybody comes: a start's growth is none of a server that is in use for weeks."""

from __future__ import annotations

import time
from collections.abc import Callable

from dropviz.experiment import preset
from dropviz.store import Store

WAITING = 6  # in the queue, so that no worker rests
PAUSE_SECONDS = 0.1
TOLD_EVERY = 500
OWNERS = 30
SHORT = ["train.steps=2", "model.widths=[4]", "observe.evaluations=1", "observe.statistics=0"]


def age(store: Store, jobs: int, told: Callable[[int], None]) -> None:
    """Have an engine do so many of the shortest jobs that there are, one after the other."""
    spec = preset("noisy-digits").with_settings(['arms=["dropout"]', "seeds=1", *SHORT])
    asked = 0
    while asked < jobs or store.live_jobs():
        for _ in range(min(WAITING - len(store.live_jobs()), jobs - asked)):
            store.submit(spec.with_settings([f"first_seed={asked}"]), owner=f"earlier {asked % OWNERS}")
            asked += 1
            if asked % TOLD_EVERY == 0:
                told(asked)
        time.sleep(PAUSE_SECONDS)
