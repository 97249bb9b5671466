"""What people do while faults happen: two owners who run, join, pause, step, stop, estimate and refresh small experiments."""

from __future__ import annotations

import random
from collections import Counter

from dropviz.experiment import ExperimentSpec, preset
from dropviz.store import Store, StoreError
from dropviz.store.records import FINAL

OWNERS = ("ada", "bob")
SMALL = ["model.widths=[8]", "observe.evaluations=20", "observe.statistics=3", "observe.probe=32"]
MOST_LIVE = 6  # experiments under way at a time
HABITS = {"fresh": 8, "submit": 4, "run": 6, "pause": 2, "step": 1, "stop": 0.5, "estimate": 1, "refresh": 2}


def pool() -> list[ExperimentSpec]:
    """Few specs, so that experiments meet: the same seeds, overlapping ones, other arms, a planar set with its pictures."""
    digits = preset("noisy-digits").with_settings([*SMALL, "train.steps=1500"])
    moons = digits.with_settings(["data=two-moons"])
    settings = [
        (digits, ['arms=["none","dropout"]', "seeds=2"]),
        (digits, ['arms=["dropout"]', "seeds=3"]),
        (digits, ['arms=["dropout","explicit"]', "seeds=2", "train.steps=800"]),
        (digits, ['arms=["dropout"]', "seeds=2", "train.optimizer=adam", "observe.refreshes=2"]),
        (moons, ['arms=["dropout"]', "seeds=2"]),
        (moons, ['arms=["none","dropout"]', "seeds=1"]),
    ]
    return [spec.with_settings(changes) for spec, changes in settings]


class Traffic:
    """Asks a store for things, by a generator of random numbers; what it may not do at the moment it leaves."""

    def __init__(self, generator: random.Random) -> None:
        self.random, self.specs = generator, pool()
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def act(self, store: Store) -> None:
        """One thing that somebody does."""
        live = [line for line in store.experiments(limit=1000) if line.state not in FINAL]
        (what,) = self.random.choices(list(HABITS), list(HABITS.values()))
        if what in ("submit", "fresh") and len(live) >= MOST_LIVE:
            what = "run"
        paused = [line for line in live if line.state == "paused"]
        try:
            if self._act(store, what, [line.id for line in (paused if what == "run" else live)]):
                self.done[what] += 1
        except StoreError:
            self.refused["the store could not be written"] += 1
        except ValueError:  # it has ended meanwhile, or its weights are not there
            self.refused[what] += 1

    def _act(self, store: Store, what: str, live: list[str]) -> bool:
        """Whether there was something to do it to."""
        spec, owner = self.random.choice(self.specs), self.random.choice(OWNERS)
        if what in ("submit", "fresh"):
            store.submit(spec, owner=owner, fresh=what == "fresh")
        elif what == "estimate":
            store.request_estimate(spec, owner)
        elif what == "refresh":
            return self._refresh(store, owner)
        elif live:
            store.request(self.random.choice(live), what)  # type: ignore[arg-type]
        return bool(live) or what in ("submit", "fresh", "estimate")

    def _refresh(self, store: Store, owner: str) -> bool:
        done = [line.id for line in store.experiments(limit=1000) if line.state == "done"]
        if done:
            experiment = store.experiment(self.random.choice(done))
            job = experiment.jobs[0]
            steps = store.kept_steps(job.id)
            if steps:
                store.request_refresh(experiment.id, job.arm, self.random.choice(steps), owner)
                return True
        return False

    def let_all_finish(self, store: Store) -> None:
        """Everything that is paused goes on, and is left alone."""
        for line in store.experiments(limit=1000):
            if line.state == "paused":
                try:
                    store.request(line.id, "run")
                except ValueError:  # it has just ended
                    continue
