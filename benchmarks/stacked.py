"""Many seeds as one program: a stacked block against a block a seed, and against a bare loop a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.measure import Row, Summary, in_turns, ratio
from benchmarks.nets import Trains, bare_loop, blocks, digits, seed_steps_per_second
from dropviz.experiment import ExperimentSpec

ARMS = ("none", "dropout", "explicit")
STACKED, SINGLE = "stacked", "a block a seed"
STEPS = 128
WARM_UP = 16


def measure(*, quick: bool) -> list[Row]:
    """Networks × their steps per second of processor time; several programs are trained one after the other.

    8 seeds of the default preset for three arms; and sizes for which stacking pays more and less, with dropout.
    There is no bare loop for the explicit arm here (see ``arms``): it is divided by the one without dropout.
    """
    rounds, steps = (3, STEPS // 2) if quick else (5, STEPS)
    rows = []
    for arm in ARMS:
        rows.append(_compare("MLP 64-128-128-10, batch 16", digits(), arm, steps, rounds, singles=True))
    middle = _moons(seeds=64, widths="[64, 64]", batch=64)
    rows.append(_compare("MLP 2-64-64-2, batch 64", middle, "dropout", steps // 4, rounds, target=4.5))
    small = _moons(seeds=16, widths="[8, 8]", batch=32)
    rows.append(_compare("MLP 2-8-8-2, batch 32", small, "dropout", steps, rounds, target=12))
    for seeds, target in ((8, 1.5), (1, None)):
        wide = digits(f"seeds={seeds}", "model.widths=[256, 256]", "train.batch_size=128")
        title = "MLP 64-256-256-10, batch 128"
        rows.append(_compare(title, wide, "dropout", steps // 2 // seeds, rounds, target=target))
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
    title: str,
    spec: ExperimentSpec,
    arm: str,
    steps: int,
    rounds: int,
    *,
    singles: bool = False,
    target: float | None = None,
) -> Row:
    bare = f"a bare loop{' with dropout' if arm == 'dropout' else ''} a seed"
    programs: dict[str, Sequence[Trains]] = {
        STACKED: blocks(spec, arm, stacked=True),
        bare: [bare_loop(spec, seed, dropout=arm == "dropout") for seed in spec.seed_list()],
    }
    if singles:
        programs[SINGLE] = blocks(spec, arm, stacked=False)
    for members in programs.values():
        seed_steps_per_second(members, spec.seeds, WARM_UP)
    contenders: dict[str, Callable[[], float]] = {
        name: partial(seed_steps_per_second, members, spec.seeds, steps) for name, members in programs.items()
    }
    rates = in_turns(contenders, rounds)
    ratios = {other: ratio(rates, STACKED, other) for other in programs if other != STACKED}
    return Row(
        name=f"{spec.seeds} × {title}: {arm}",
        value=Summary.of(rates[STACKED]),
        unit="seed-steps/CPU-s",
        ratios=ratios,
        target=f"≥ {target:g}" if target else "",
        met=ratios[bare].median >= target if target else None,
    )
