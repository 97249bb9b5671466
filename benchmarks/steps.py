"""Steps of each arm per second of processor time, one seed, against the bare loop: what our machinery costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.measure import Row, Summary, in_turns, ratio, steps_per_second
from benchmarks.nets import bare_loop, digits
from dropviz.training import Block

ARMS = ("none", "dropout", "dropout-8", "dropout-8+mask-noise", "explicit", "implicit", "explicit+implicit")
BARE, BARE_DROPOUT = "bare loop", "bare loop with dropout"
STEPS = 256  # as many steps as random numbers are drawn ahead: each turn pays for the same number of draws
WARM_UP = 64


def measure(*, quick: bool) -> list[Row]:
    """``Block.update`` of every arm, and the bare loops, by which each arm is divided.

    Only "none" and "dropout" do the same work as a bare loop; the other arms' ratios say what they cost.
    """
    spec = digits()
    rounds = 3 if quick else 12
    loops = {BARE: bare_loop(spec, 0, dropout=False), BARE_DROPOUT: bare_loop(spec, 0, dropout=True)}
    updates: dict[str, Callable[[], object]] = {name: loop.update for name, loop in loops.items()}
    updates |= {arm: Block(spec, arm, [0]).update for arm in ARMS}
    for update in updates.values():
        steps_per_second(update, WARM_UP)
    contenders = {name: partial(steps_per_second, update, STEPS) for name, update in updates.items()}
    rates = in_turns(contenders, rounds)
    return [
        Row(
            name=name,
            value=Summary.of(rates[name]),
            unit="steps/CPU-s",
            ratios={other: ratio(rates, name, other) for other in loops if other != name},
        )
        for name in updates
    ]
