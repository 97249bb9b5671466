"""What one experiment, or a sweep of them, may ask of this installation: decides whether it runs, never its numbers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import prod

from dropviz.choices import SpecError
from dropviz.datasets.chains import ChainText
from dropviz.experiment import EVALUATION_STREAMS, ExperimentSpec, live_steps, step_rows, surrogate_choices
from dropviz.strategies import strategy


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one experiment may ask of this installation, what a sweep may, and how much one person may have waiting.

    Attributes:
        tokens: Of texts that are generated, of all seeds.
        cells, sweep_seed_steps: Of a sweep.
        queued: Jobs of one person that wait: a largest sweep of six arms fits.
        queued_together: Of everybody.
        starts: Experiments, sweeps, imports and classes of one person within a minute.
    """

    steps: int = 100_000
    seeds: int = 256
    parameters: int = 5_000_000
    activations: int = 50_000_000
    seed_steps: int = 20_000_000
    passes: int = 2_000
    tokens: int = 50_000_000
    cells: int = 400
    sweep_seed_steps: int = 100_000_000
    queued: int = 2_500
    queued_together: int = 10_000
    starts: int = 60

    @classmethod
    def from_environment(cls) -> Budget:
        """The limits, with ``DROPVIZ_MAX_STEPS``, ``DROPVIZ_MAX_SEEDS``, … taking precedence.

        Raises:
            SpecError: One of these variables is not a whole number above 0.
        """
        limits = {}
        for field in fields(cls):
            variable = f"DROPVIZ_MAX_{field.name.upper()}"
            text = os.environ.get(variable, "").strip()
            if not text:
                continue
            if not text.isdecimal() or int(text) < 1:
                raise SpecError(f"{variable} = {text!r} is not possible: give a whole number above 0.")
            limits[field.name] = int(text)
        return cls(**limits)


# See docs/decisions/0001-stacked-seeds.md, where these are measured.
SEEDS_TOGETHER, MOST_SEEDS_TOGETHER = 16, 64
CALLS_COST_MOST = 2**17  # up to so many numbers of all seeds, a step's calls cost more than its arithmetic
CACHED = 2**22  # beyond, the caches of a processor do not hold them
STATISTICS = 40  # times as many activations as a step: they come one after the other


def activations(spec: ExperimentSpec, arm: str) -> int:
    """Numbers that one step of one seed holds at least: the masks of a step are replicas of its minibatch, side by side.

    With them attention's pairs of tokens, and of each dropped parameter its mask, the product and the gradient.
    """
    model, task, replicas = spec.model, spec.data.task, strategy(arm).replicas
    held = step_rows(spec) * model.units(task)
    if task.kind == "language":
        held += step_rows(spec) * spec.language.segment * model.units_a_pair()
    shapes, dropped = model.shapes(task), model.dropped_parameters()
    weights = sum(prod(shapes[dropped[site]]) for site in model.sites() if site in dropped)
    return max(1, replicas) * held + 3 * replicas * weights


def seed_steps(spec: ExperimentSpec) -> int:
    """Steps × seeds × masks over all arms."""
    return spec.train.steps * spec.seeds * sum(max(1, strategy(arm).replicas) for arm in spec.arms)


def exact_passes(spec: ExperimentSpec) -> int:
    """Backward passes of the exact estimator in a step, where some arm takes it: one an output, and one a token that shares ε."""
    if surrogate_choices(spec).estimator != "exact":
        return 0
    if not any("estimator" in strategy(arm).choices for arm in spec.arms):
        return 0
    return spec.data.task.outputs * (step_rows(spec) if spec.data.task.kind == "language" else 1)


def generated_tokens(spec: ExperimentSpec) -> int:
    """Tokens that are drawn one after the other, over all seeds, before an arm's first step; none of a text that is there.

    Of each seed a training text, and a validation and a test text that are as long as each other.
    """
    if not isinstance(spec.data, ChainText):
        return 0
    return spec.seeds * (spec.data.train_tokens + 2 * spec.data.held_out_tokens)


def seeds_together(spec: ExperimentSpec, arm: str) -> int:
    """Seeds that one program stacks: 16, more of a tiny network, fewer of one whose weights and activations are many.

    Seeds that stop early do so each at a step of its own, so they train one by one.
    """
    if spec.train.patience:
        return 1
    held = activations(spec, arm) + spec.model.parameter_count(spec.data.task)
    wanted = min(MOST_SEEDS_TOGETHER, max(SEEDS_TOGETHER, CALLS_COST_MOST // held))
    fit = min(CACHED // held, Budget().activations // _evaluated(spec))
    return max(1, min(wanted, fit))


def _evaluated(spec: ExperimentSpec) -> int:
    """Numbers that evaluating one seed holds at once; of examples, so many at a time that they fit."""
    if spec.data.task.kind != "language":
        return 1
    return EVALUATION_STREAMS * spec.language.segment * spec.model.units(spec.data.task)


def seed_blocks(seeds: Sequence[int], most: int) -> list[list[int]]:
    """Blocks of equal size as nearly as possible: 20 seeds are 10 + 10, not 16 + 4."""
    count = -(-len(seeds) // most)
    return [
        list(seeds[index * len(seeds) // count : (index + 1) * len(seeds) // count]) for index in range(count)
    ]


def check_data(spec: ExperimentSpec) -> None:
    """Refuse a spec whose data are not on this machine.

    Raises:
        SpecError: Says what is missing and how to get it.
    """
    if reason := spec.data.missing():
        raise SpecError(reason)


def check_budget(spec: ExperimentSpec, budget: Budget | None = None) -> None:
    """Refuse a spec that asks for more than this installation allows.

    Raises:
        SpecError: Names the amount, the limit and the setting to lower.
    """
    budget = budget or Budget.from_environment()
    width = spec.model.parameter_count(spec.data.task)
    most = max(spec.arms, key=lambda arm: strategy(arm).replicas)
    amounts = [
        ("train.steps", spec.train.steps, budget.steps, "steps"),
        ("seeds", spec.seeds, budget.seeds, "seeds"),
        ("model", width, budget.parameters, "parameters"),
        (
            "train.batch_size, model or k",
            activations(spec, most),
            budget.activations,
            f"activations in a step of {most} (masks × minibatch × units)",
        ),
        (
            "train.steps, seeds or arms",
            seed_steps(spec),
            budget.seed_steps,
            "steps × seeds × masks over all arms",
        ),
        (
            "observe.probe or observe.masks",
            spec.observe.probe
            * spec.observe.masks
            * spec.model.units(spec.data.task)
            * bool(live_steps(spec)),
            STATISTICS * budget.activations,
            "activations in the statistics (probe × masks × units)",
        ),
        (
            "data.vocabulary or language.segment, or choose another estimator than exact",
            exact_passes(spec),
            budget.passes,
            "backward passes in a step of the exact estimator",
        ),
        (
            "data.train_tokens, data.held_out_tokens or seeds",
            generated_tokens(spec),
            budget.tokens,
            "tokens of generated texts (tokens × seeds)",
        ),
    ]
    for setting, amount, limit, unit in amounts:
        if amount > limit:
            raise SpecError(
                f"This asks for {amount:,} {unit}, over this server's budget of {limit:,}: lower {setting}."
            )
