"""Many seeds as one program: a stacked block against a block a seed, and against a bare loop a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from benchmarks.measure import Row, Summary, in_turns, ratio, steps_per_second
from benchmarks.nets import bare_loop, blocks, digits
from dropviz.experiment import ExperimentSpec

ARMS = ("none", "dropout", "explicit")
STACKED, SINGLE = "stacked", "a block a seed"
STEPS = 128
WARM_UP = 16


class Trains(Protocol):
    """A block or a bare loop."""

    def update(self) -> object:
        """One step."""
        ...


def measure(*, quick: bool) -> list[Row]:
    """Networks × their steps per second of processor time; several programs are trained one after the other.

    8 seeds of the default preset for three arms; and two sizes for which stacking pays more, with dropout.
    There is no bare loop for the explicit arm: it is divided by the one without dropout.
    """
    rounds, steps = (3, STEPS // 2) if quick else (5, STEPS)
    rows = []
    for arm in ARMS:
        rows += _compare("MLP 64-128-128-10, batch 16", digits(), arm, steps, rounds, singles=True)
    wide = _moons(seeds=64, widths="[64, 64]", batch=64)
    rows += _compare("MLP 2-64-64-2, batch 64", wide, "dropout", steps // 4, rounds)
    small = _moons(seeds=16, widths="[8, 8]", batch=32)
    rows += _compare("MLP 2-8-8-2, batch 32", small, "dropout", steps, rounds)
    return rows


def _moons(*, seeds: int, widths: str, batch: int) -> ExperimentSpec:
    settings = [
        "data.name=two-moons",
        f"seeds={seeds}",
        f"model.widths={widths}",
        f"train.batch_size={batch}",
    ]
    return digits(*settings)


def _compare(
    title: str, spec: ExperimentSpec, arm: str, steps: int, rounds: int, *, singles: bool = False
) -> list[Row]:
    bare = f"a bare loop{' with dropout' if arm == 'dropout' else ''} a seed"
    programs: dict[str, Sequence[Trains]] = {
        STACKED: blocks(spec, arm, stacked=True),
        bare: [bare_loop(spec, seed, dropout=arm == "dropout") for seed in spec.seed_list()],
    }
    if singles:
        programs[SINGLE] = blocks(spec, arm, stacked=False)
    for members in programs.values():
        _seed_steps_per_second(members, spec.seeds, WARM_UP)
    contenders: dict[str, Callable[[], float]] = {
        name: partial(_seed_steps_per_second, members, spec.seeds, steps)
        for name, members in programs.items()
    }
    rates = in_turns(contenders, rounds)
    return [
        Row(
            name=f"{spec.seeds} × {title}: {arm}",
            value=Summary.of(rates[STACKED]),
            unit="seed-steps/CPU-s",
            ratios={other: ratio(rates, STACKED, other) for other in programs if other != STACKED},
        )
    ]


def _seed_steps_per_second(members: Sequence[Trains], seeds: int, steps: int) -> float:
    def everybody() -> None:
        for member in members:
            for _ in range(steps):
                member.update()

    return seeds * steps * steps_per_second(everybody, 1)
