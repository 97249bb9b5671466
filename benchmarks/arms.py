"""Every arm of the default preset for 8 seeds as one program, against the loop that one would write by hand, a seed at a time.

The hand-written loops (``bare_arms``) batch the replicas of a minibatch and use the same exact Jacobian; ours are blocks of
seeds as the dashboard trains them. Neither evaluates.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.measure import Rates, Row, Summary, in_turns, ratio
from benchmarks.nets import bare_arm, blocks, digits, seed_steps_per_second

STEPS = 64
WARM_UP = 16
TARGET = 2.5  # all arms together
BARE = "a bare loop a seed"


def measure(*, quick: bool) -> list[Row]:
    """Seeds × their steps per second of processor time, an arm a row, and all of them together."""
    spec, rounds = digits(), 3 if quick else 7
    rates: Rates = {}
    for arm in spec.arms:
        programs = {
            arm: blocks(spec, arm, stacked=True),
            f"bare {arm}": [bare_arm(spec, seed, arm) for seed in spec.seed_list()],
        }
        for members in programs.values():
            seed_steps_per_second(members, spec.seeds, WARM_UP)
        contenders: dict[str, Callable[[], float]] = {
            name: partial(seed_steps_per_second, members, spec.seeds, STEPS)
            for name, members in programs.items()
        }
        rates |= in_turns(contenders, rounds)
    rates["all"], rates["bare all"] = (
        _together(rates, [f"{kind}{arm}" for arm in spec.arms]) for kind in ("", "bare ")
    )
    title = f"{spec.seeds} × noisy-digits: "
    rows = [_row(f"{title}{arm}", arm, rates) for arm in spec.arms]
    return [*rows, _row(f"{title}all six arms", "all", rates, TARGET)]


def _together(rates: Rates, names: list[str]) -> list[float]:
    """The rate when each of these takes the same number of steps."""
    return [
        len(names) / sum(1 / one for one in turn)
        for turn in zip(*(rates[name] for name in names), strict=True)
    ]


def _row(title: str, name: str, rates: Rates, target: float | None = None) -> Row:
    quotient = ratio(rates, name, f"bare {name}")
    return Row(
        name=title,
        value=Summary.of(rates[name]),
        unit="seed-steps/CPU-s",
        ratios={BARE: quotient},
        target=f"≥ {target}" if target else "",
        met=quotient.median >= target if target else None,
    )
