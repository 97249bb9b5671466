"""An extension of the measured server: a statistic that records when the training process made it.

Its metric has a name that the Lab's board reads of texts alone. So it travels to viewers of other data as any metric does,
through the child's recorder, the store and the reader, and nothing draws it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from dropviz.statistics import Moment, Statistic

if TYPE_CHECKING:
    from torch import Tensor

MADE = "unigram/bits_per_character"
ORIGIN = "DROPVIZ_LOAD_ORIGIN"  # so that seconds since then are few, as numbers travel with six digits


def now() -> float:
    """Seconds since the origin, by the clock that all processes of this machine share."""
    return time.monotonic() - float(os.environ[ORIGIN])


def measure(moment: Moment) -> dict[str, Tensor]:
    """The moment at which the values are made, the same for each seed: (S,)."""
    import torch

    seeds = moment.parameters[0].shape[0]
    return {MADE: torch.full((seeds,), now(), dtype=torch.float64)}


statistic = Statistic(name="clock", groups=("unigram",), measure=measure)
