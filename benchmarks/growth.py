"""How the cost of a step grows: width, depth, minibatch and seeds doubled, one at a time, and the exponent of each.

Two bases: one whose time goes into arithmetic, and one so small that it goes into the calls. An exponent is log₂ of the
time of a doubled step over that of the base. Where arithmetic decides, that of width tends to 2 and the others to 1; where
calls decide, that of depth tends to 1 and the others to 0: doubling them costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import log2

import torch

from benchmarks.measure import Rates, Row, Summary, in_turns, ratio, steps_per_second
from benchmarks.nets import digits
from dropviz.curvature import HessianProduct
from dropviz.experiment import ExperimentSpec
from dropviz.regularizers import plain_loss
from dropviz.training import Block

PROGRAMS = {
    "none": ("none", ()),
    "dropout": ("dropout", ()),
    "explicit, exact": ("explicit", ("surrogate.estimator=exact",)),
    "explicit, root-Hessian": ("explicit", ("surrogate.estimator=root-hessian",)),
    "explicit+implicit, root-Hessian": ("explicit+implicit", ("surrogate.estimator=root-hessian",)),
}
PRODUCT = "Hessian product"
QUICK = ("none", "dropout", "explicit, root-Hessian", PRODUCT)
TURN_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Size:
    """What grows, and for how many steps masks are drawn at once: a turn of whole draws pays for each of its steps."""

    data: str
    width: int
    depth: int
    batch: int
    seeds: int
    ahead: int

    def __str__(self) -> str:
        hidden = f"{self.width}-" * self.depth
        ends = {"digits": "64-{}10", "two-moons": "2-{}2"}[self.data]
        return f"{self.seeds} × MLP {ends.format(hidden)}, batch {self.batch}"

    def spec(self, *settings: str) -> ExperimentSpec:
        """An experiment of this size whose probe is as large as a minibatch."""
        return digits(
            f"data.name={self.data}",
            f"model.widths={[self.width] * self.depth}",
            f"train.batch_size={self.batch}",
            f"observe.probe={self.batch}",
            f"seeds={self.seeds}",
            *settings,
        )

    def doubled(self) -> dict[str, Size]:
        """One thing at a time."""
        return {
            f"{name} ×2": replace(self, **{name: 2 * getattr(self, name)})
            for name in ("width", "depth", "batch", "seeds")
        }


BASES = (
    Size(data="digits", width=128, depth=2, batch=64, seeds=8, ahead=8),
    Size(data="two-moons", width=8, depth=2, batch=32, seeds=16, ahead=128),
)


def measure(*, quick: bool) -> list[Row]:
    """Processor time of every program at both bases, and the exponents of what is doubled there.

    The programs are training steps of five arms and a product with the Hessian of the loss on as many rows as a minibatch
    has. Depth counts hidden layers: two become four.
    """
    names = QUICK if quick else (*PROGRAMS, PRODUCT)
    return [row for base in BASES for name in names for row in _grow(base, name, quick=quick)]


def _grow(base: Size, name: str, *, quick: bool) -> list[Row]:
    sizes = {"": base} | base.doubled()
    seconds = TURN_SECONDS / 4 if quick else TURN_SECONDS
    contenders = {grown: _timed(_program(size, name), seconds, base.ahead) for grown, size in sizes.items()}
    times = in_turns(contenders, 3 if quick else 9)
    found = [Row(name=f"{base}: {name}", value=_milliseconds(times[""]), unit="CPU-ms")]
    return found + [_row(name, grown, times) for grown in base.doubled()]


def _row(name: str, grown: str, times: Rates) -> Row:
    quotient = ratio(times, grown, "")
    return Row(
        name=f"{name}, {grown}",
        value=_milliseconds(times[grown]),
        unit=f"CPU-ms, exponent {log2(quotient.median):.2f}",
        ratios={"the base": quotient},
    )


def _milliseconds(times: list[float]) -> Summary:
    return Summary.of([1000 * seconds for seconds in times])


def _program(size: Size, name: str) -> Callable[[], object]:
    if name == PRODUCT:
        return _product(size.spec())
    arm, settings = PROGRAMS[name]
    spec = size.spec(*settings)
    return Block(spec, arm, spec.seed_list()).update


def _product(spec: ExperimentSpec) -> Callable[[], object]:
    block = Block(spec, "none", spec.seed_list())
    network = block.stacked.network(block.observation.batch)
    product = HessianProduct(plain_loss(network).total, block.stacked.leaves)
    return partial(product, torch.ones(product.shape))


def _timed(update: Callable[[], object], seconds: float, ahead: int) -> Callable[[], float]:
    """Processor time of one call, over as many as fill a turn: a multiple of ``ahead``."""
    update()
    rate = steps_per_second(update, ahead)
    steps = ahead * max(1, round(rate * seconds / ahead))
    return lambda: 1 / steps_per_second(update, steps)
