"""When two results pair: the same seed has given both the same split, the same initial weights and the same minibatches.

A seed alone decides these only together with some settings, and random numbers are addressed by (seed, purpose, step), so
nothing else has a say in them:

- the split and its labels: every setting of the data set (``Dataset.load(seed)``);
- the initial weights: every setting of the model but where it drops (``Model.initial(seed, task)`` asks for shapes alone);
- the minibatches: the size of the training split and of a minibatch (``training.feed.Minibatches``), of a text also the
  length of its segments (``training.feed.Segments``).

So arms pair, and so do drop probabilities, optimizers, learning rates, numbers of steps, surrogates: what is to be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dropviz.experiment import ExperimentSpec
from dropviz.experiment.difference import differing, written

FREE_OF_MODEL = ("dropout_at",)
MINIBATCHES = ("batch_size",)
OF_A_TEXT = ("segment", "random_lengths")
MOST_SAID = 3
MEANING = {
    "data": "so a seed draws other data",
    "model": "so a seed starts from other weights",
    "train": "so a seed sees other minibatches",
    "language": "so a seed sees other minibatches",
}


@dataclass(frozen=True, kw_only=True)
class Break:
    """A setting that keeps two runs from pairing: its dotted key and its two values."""

    key: str
    one: Any
    other: Any

    @property
    def sentence(self) -> str:
        """Such as ``train.batch_size is 16 and 32, so a seed sees other minibatches``."""
        why = MEANING[self.key.partition(".")[0]]
        return f"{self.key} is {written(self.one)} and {written(self.other)}, {why}"


def design(spec: ExperimentSpec) -> dict[str, dict[str, Any]]:
    """The settings that decide, with a seed, its split, its initial weights and its minibatches: as a spec's table has them."""
    table = spec.to_table()
    found = {
        "data": table["data"],
        "model": {key: value for key, value in table["model"].items() if key not in FREE_OF_MODEL},
        "train": {key: table["train"][key] for key in MINIBATCHES},
    }
    if spec.data.task.kind == "language":
        found["language"] = {key: table["language"][key] for key in OF_A_TEXT}
    return found


def breaks(one: ExperimentSpec, other: ExperimentSpec) -> list[Break]:
    """Every setting that keeps the seeds of two specs from pairing; empty where equal seeds pair."""
    found = differing([design(one), design(other)])
    names = [key for key in ("data.name", "model.name") if key in found]
    hidden = tuple(
        f"{key.partition('.')[0]}." for key in names
    )  # the knobs of other sets and models differ anyway
    return [
        Break(key=key, one=values[0], other=values[1])
        for key, values in found.items()
        if key in names or not key.startswith(hidden)
    ]


def sentence(found: list[Break]) -> str:
    """What keeps two runs from pairing, in words; the first few settings."""
    more = len(found) - MOST_SAID
    rest = f"; {more} more" if more > 0 else ""
    return "; ".join(one.sentence for one in found[:MOST_SAID]) + rest
