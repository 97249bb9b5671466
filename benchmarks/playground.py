"""Small nets in the plane, which a teacher would otherwise train in TensorFlow Playground: time of a step of one net.

Playground's own code is measured in the same run where ``PLAYGROUND_DRIVER`` names a script for Node that trains a net with
it: ``node SCRIPT 2,8,8,1 32`` prints the milliseconds of processor time that a step takes, forward and backward for each of 32
examples and one update. Neither that code nor the script is part of this repository; ``PEERS.md`` has what was found once.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial

from benchmarks.measure import Rates, Row, Summary, in_turns, ratio, say, steps_per_second
from benchmarks.nets import digits
from dropviz.streams import MOST_STEPS
from dropviz.training import Block

DRIVER = "PLAYGROUND_DRIVER"
PLAYGROUND = "Playground"
SEEDS = 16
ARMS = ("none", "dropout")
# Hidden widths, rows of a minibatch, and how many times Playground's speed is wanted.
NETS = (((4, 2), 10, None), ((8, 8), 32, 1), ((64, 64), 64, 20))


def measure(*, quick: bool) -> list[Row]:
    """16 seeds stacked, processor time of a step divided by 16: ReLU, two moons, SGD.

    Our nets have two outputs and softmax cross-entropy, Playground's has one and squares.
    """
    driver = os.environ.get(DRIVER, "")
    if not driver:
        say(f"{DRIVER} names no script, so TensorFlow Playground is left out: see benchmarks/PEERS.md.")
    return [row for net in NETS for row in _compare(*net, driver=driver, rounds=3 if quick else 7)]


def _compare(
    widths: tuple[int, ...], batch: int, wanted: int | None, *, driver: str, rounds: int
) -> list[Row]:
    contenders: dict[str, Callable[[], float]] = {arm: _stacked(widths, batch, arm) for arm in ARMS}
    if driver:
        contenders[PLAYGROUND] = partial(_playground, driver, widths, batch)
    rates = in_turns(contenders, rounds)
    hidden = "-".join(str(width) for width in widths)
    rows = [_row(f"{SEEDS} × 2-{hidden}-2, batch {batch}: {arm}", arm, rates, wanted) for arm in ARMS]
    if driver:
        rows.append(_row(f"2-{hidden}-1, batch {batch}: {PLAYGROUND}", PLAYGROUND, rates, None))
    return rows


def _row(title: str, name: str, rates: Rates, wanted: int | None) -> Row:
    compared = PLAYGROUND in rates and name != PLAYGROUND
    speed = {f"{PLAYGROUND}'s speed": ratio(rates, name, PLAYGROUND)} if compared else {}
    return Row(
        name=title,
        value=Summary.of([1e6 / rate for rate in rates[name]]),
        unit="CPU-µs a seed-step",
        ratios=speed,
        target=f"≥ {wanted} {PLAYGROUND}'s speed" if wanted else "",
        met=all(one.median >= wanted for one in speed.values()) if wanted and speed else None,
    )


def _stacked(widths: tuple[int, ...], batch: int, arm: str) -> Callable[[], float]:
    """Seed-steps per second of processor time."""
    spec = digits(
        "data.name=two-moons", f"seeds={SEEDS}", f"model.widths={list(widths)}", f"train.batch_size={batch}"
    )
    update = Block(spec, arm, spec.seed_list()).update
    steps_per_second(update, MOST_STEPS)
    return lambda: SEEDS * steps_per_second(update, MOST_STEPS)


def _playground(driver: str, widths: tuple[int, ...], batch: int) -> float:
    """Steps per second of processor time."""
    sizes = ",".join(str(size) for size in (2, *widths, 1))
    command = ["node", driver, sizes, str(batch)]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    return 1000 / float(found.stdout)
