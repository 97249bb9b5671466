"""What a server has done before anybody comes: an engine grows most in its first thousands of jobs.

``python -m benchmarks.load.ageing JOBS`` has the engine of this environment's store do them. It is a process of its own, as what
it asks for has to be of the code and the extensions that the engine began with.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing

from dropviz.experiment import preset
from dropviz.store import Store

WAITING = 6  # in the queue, so that no worker rests
PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 120.0
TOLD_EVERY = 500
OWNERS = 30
SHORT = ["train.steps=2", "model.widths=[4]", "observe.evaluations=1", "observe.statistics=0"]


def age(store: Store, jobs: int) -> Iterator[int]:
    """Have an engine do so many of the shortest jobs that there are, a few of them in its queue at a time; yields how many it was asked for.

    Raises:
        TimeoutError: For long none of them has ended.
        RuntimeError: One of them has failed.
    """
    spec = preset("noisy-digits").with_settings(['arms=["dropout"]', "seeds=1", *SHORT])
    asked, moved, before = 0, time.monotonic(), None
    while (live := [job.id for job in store.live_jobs()]) or asked < jobs:
        if live != before:
            moved, before = time.monotonic(), live
        elif time.monotonic() - moved > PATIENCE_SECONDS:
            raise TimeoutError(f"none of the jobs {live} has ended for {PATIENCE_SECONDS:.0f} seconds")
        for _ in range(min(WAITING - len(live), jobs - asked)):
            store.submit(spec.with_settings([f"first_seed={asked}"]), owner=f"earlier {asked % OWNERS}")
            asked += 1
            if asked % TOLD_EVERY == 0:
                yield asked
        time.sleep(PAUSE_SECONDS)
    if failed := store.overview.failures():
        raise RuntimeError(f"a short job has failed: {failed[0].error}")


if __name__ == "__main__":
    with closing(Store.open()) as opened:
        for done in age(opened, int(sys.argv[1])):
            print(json.dumps({"jobs": done}), flush=True)
    print(json.dumps({"aged": True}), flush=True)
