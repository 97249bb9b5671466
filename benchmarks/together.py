"""How many seeds one program should train: seeds × steps per second at 1 to 64 seeds together, for each kind of network.

``budget.seeds_together`` chooses by what a step of one seed holds; its choice is marked, and compared with the best one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from benchmarks.measure import Rates, Row, Summary, in_turns, ratio
from benchmarks.nets import digits, seed_steps_per_second
from dropviz.budget import activations, seeds_together
from dropviz.experiment import ExperimentSpec, preset
from dropviz.training import Block

COUNTS = (1, 2, 4, 8, 16, 32, 64)
SECONDS = 0.15  # of processor time that a turn takes, about


def networks() -> Mapping[str, tuple[ExperimentSpec, str]]:
    """Name → spec and arm, from networks whose steps cost nothing but calls to those that the processor's caches do not hold."""
    moons = digits("data.name=two-moons", "model.widths=[8, 8]", "train.batch_size=32")
    wide = digits("model.widths=[256, 256]", "train.batch_size=128")
    return {
        "MLP 2-8-8-2, batch 32, dropout": (moons, "dropout"),
        "MLP 64-128-128-10, batch 16, dropout": (digits(), "dropout"),
        "the same, dropout-8": (digits(), "dropout-8"),
        "the same, explicit (exact)": (digits(), "explicit"),
        "MLP 64-256-256-10, batch 128, dropout": (wide, "dropout"),
        "CNN 8-16, head 64, batch 16, dropout": (digits("model.name=cnn"), "dropout"),
        "LSTM 32, 10 × 16 tokens, dropout": (_text("lstm", "model.width=32", "model.layers=1"), "dropout"),
        "LSTM 128, 10 × 35 tokens, dropout": (_text("lstm", "language.segment=35"), "dropout"),
        "Transformer 32, 10 × 16 tokens, dropout": (
            _text("transformer", "model.width=32", "model.feedforward=64", "model.layers=1"),
            "dropout",
        ),
    }


def _text(model: str, *settings: str) -> ExperimentSpec:
    table = preset("markov-lstm").to_table()
    table["model"] = {"name": model}
    common = ["arms=['none','dropout']", "language.segment=16", "observe.statistics=0"]
    small = (
        ["data.train_tokens=20000", "model.embedding=32"] if model == "lstm" else ["data.train_tokens=20000"]
    )
    return ExperimentSpec.from_table(table).with_settings([*common, *small, *settings])


def measure(*, quick: bool) -> list[Row]:
    """A row for each network and number of seeds, divided by one seed alone."""
    return [
        row for name, (spec, arm) in networks().items() for row in _rows(name, spec, arm, 3 if quick else 5)
    ]


def _rows(name: str, spec: ExperimentSpec, arm: str, rounds: int) -> list[Row]:
    blocks = {str(count): Block(spec, arm, range(count)) for count in COUNTS}
    turns = {}
    for count, block in blocks.items():
        seed_steps_per_second([block], int(count), 4)
        alone = seed_steps_per_second([block], int(count), 8) / int(count)
        turns[count] = partial(seed_steps_per_second, [block], int(count), max(1, round(SECONDS * alone)))
    rates: Rates = in_turns(turns, rounds)
    chosen = seeds_together(spec.with_settings([f"seeds={COUNTS[-1]}"]), arm)
    return [
        Row(
            name=f"{name}: {count}{' (chosen)' if int(count) == chosen else ''}",
            value=Summary.of(rates[count]),
            unit="seed-steps/CPU-s",
            ratios={f"one seed ({activations(spec, arm):,} numbers)": ratio(rates, count, "1")},
        )
        for count in blocks
    ]
