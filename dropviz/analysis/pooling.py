"""Arms gathered over runs that fit together, so that dropout's gain can be taken apart over all of their seeds.

Runs fit where they pair (see ``pairing``) and train alike: same optimizer, steps and so on. What an arm does not depend
on may differ: none and l2 do not drop, so they serve every drop probability; only the analytic arms ask for the surrogate's
choices. What is observed, and how often, never matters.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dropviz.analysis import pairing
from dropviz.experiment import ExperimentSpec, canonical_json, surrogate_choices
from dropviz.experiment.difference import differing, written
from dropviz.strategies import strategy

WITHOUT_DROPPING = ("none", "l2")
NEEDED = ("none", "dropout")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run that was chosen: its number, its spec, and arm → seed → score."""

    run: int
    spec: ExperimentSpec
    scores: Mapping[str, Mapping[int, float]]


@dataclass
class Pool:
    """What fits together: arm → seed → score, arm → run → how many seeds it gave, and the arms that were left out."""

    spec: ExperimentSpec
    scores: dict[str, dict[int, float]] = field(default_factory=dict)
    sources: dict[str, dict[int, int]] = field(default_factory=dict)
    left_out: list[tuple[str, int]] = field(default_factory=list)
    _choices: dict[str, str] = field(default_factory=dict)

    def take(self, entry: Entry, arm: str) -> None:
        """Add the seeds that are not there yet; an analytic arm of other choices is another arm, and is left out."""
        choices = _choices_of(entry.spec, arm)
        if self._choices.setdefault(arm, choices) != choices:
            self.left_out.append((arm, entry.run))
            return
        there = self.scores.setdefault(arm, {})
        new = {seed: score for seed, score in entry.scores[arm].items() if seed not in there}
        there |= new
        if new:
            self.sources.setdefault(arm, {})[entry.run] = len(new)

    @property
    def runs(self) -> list[int]:
        """The runs that gave it anything."""
        return sorted({run for found in self.sources.values() for run in found})


def pools(entries: Sequence[Entry]) -> list[Pool]:
    """One pool for each way of dropping among runs that train alike, in the order of the runs; arms that do not drop are in each.

    Only pools with ``none`` and ``dropout`` are given: without both there is no gain to take apart (see ``refusal``).
    """
    found: dict[tuple[str, str], Pool] = {}
    for entry in entries:
        found.setdefault((_training_of(entry.spec), _dropping_of(entry.spec)), Pool(spec=entry.spec))
    for (training, dropping), pool in found.items():
        fitting = [entry for entry in entries if _training_of(entry.spec) == training]
        own = [_dropping_of(entry.spec) == dropping for entry in fitting]
        for entry in itertools.compress(fitting, own):
            for arm in entry.scores:
                pool.take(entry, arm)
        for entry in fitting:  # what its own runs have not
            for arm in WITHOUT_DROPPING:
                if arm in entry.scores:
                    pool.take(entry, arm)
    complete = [pool for pool in found.values() if all(pool.scores.get(arm) for arm in NEEDED)]
    for pool in complete:
        formulas = next((e for e in entries if e.run in pool.sources.get("explicit+implicit", {})), None)
        arms = tuple(pool.scores)
        pool.spec = (formulas.spec if formulas else pool.spec).model_copy(update={"arms": arms})
    return complete


def refusal(entries: Sequence[Entry]) -> str:
    """Why there is no pool: which arm is missing, or which setting keeps none and dropout from fitting together."""
    having = {arm: [entry for entry in entries if entry.scores.get(arm)] for arm in NEEDED}
    missing = [arm for arm, found in having.items() if not found]
    if missing:
        what = " and ".join(missing)
        return f"To take dropout's gain apart, choose a finished run with {what}."
    none, dropout = having["none"][0], having["dropout"][0]
    keys = _unfit(none.spec, dropout.spec)
    said = "; ".join(f"{key} is {written(a)} and {written(b)}" for key, (a, b) in list(keys.items())[:3])
    return (
        f"none of run {none.run} and dropout of run {dropout.run} do not fit together: {said}. Choose runs that differ in arms"
        " and seeds alone."
    )


@lru_cache(maxsize=1024)
def _training_of(spec: ExperimentSpec) -> str:
    return canonical_json(_training(spec))


def _training(spec: ExperimentSpec) -> dict[str, Any]:
    """All that decides, with a seed, the numbers of an arm that does not drop."""
    table = spec.to_table()
    of_a_text = {"language": table["language"]} if spec.data.task.kind == "language" else {}
    return pairing.design(spec) | {"train": table["train"]} | of_a_text


@lru_cache(maxsize=1024)
def _dropping_of(spec: ExperimentSpec) -> str:
    return canonical_json({"p": spec.p, "dropout_at": list(spec.model.dropout_at)})


@lru_cache(maxsize=4096)
def _choices_of(spec: ExperimentSpec, arm: str) -> str:
    table = surrogate_choices(spec).to_table()
    return canonical_json({choice: table[choice] for choice in strategy(arm).choices})


def _unfit(one: ExperimentSpec, other: ExperimentSpec) -> dict[str, list[Any]]:
    return differing([_training(one), _training(other)])
