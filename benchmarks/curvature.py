"""What curvature costs: a refresh in gradients on its probe, live statistics in shares of a run; and how sure its trace is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from torch.autograd import grad

from benchmarks.measure import Rates, Row, Summary, in_turns, ratio
from benchmarks.nets import digits
from dropviz.experiment import ExperimentSpec, live_steps
from dropviz.statistics import Statistic, statistics
from dropviz.training import Block, Record

DIGITS = 400  # the whole training split, on which the literature's figures were taken
REFRESH_TARGET, SHARE_TARGET, TRACE_TARGET = 160, 0.95, 3.0
GRADIENT, PRODUCTS = "a gradient on the same probe", 48
ALONE = "the same without statistics"


def measure(*, quick: bool) -> list[Row]:
    """Refreshes and live moments of one and of eight nets; runs with the default number of live statistics; the trace's error.

    The refresh that has a target is that of trace, largest eigenvalues, density and noise alignment (the statistic
    ``spectrum``); the whole one adds the 1/k law and the loss around the weights. Times are of the processor.
    """
    rounds = 3 if quick else 9
    rows = []
    for seeds in (1, 8):
        rows += _moments(seeds, 64, rounds) + _moments(seeds, DIGITS, rounds)
    for seeds, steps in ((1, 1500), (8, 1500), (8, 10_000)):
        rows.append(_share(seeds, steps if not quick else 1500, 2 if quick else 5))
    return [*rows, *_spread(10 if quick else 40)]


def _moments(seeds: int, probe: int, rounds: int) -> list[Row]:
    block = _trained(digits(f"seeds={seeds}", f"observe.probe={probe}", "train.steps=600"), "dropout")
    network = block.stacked.network(block.observation.batch)
    spectrum = [one for one in statistics() if one.name == "spectrum"]
    contenders: dict[str, Callable[[], object]] = {
        GRADIENT: lambda: grad(network.plain().sum(), block.stacked.leaves),
        "trace, λ_max, spectrum, Tr(HΣ)": partial(_measured, block, spectrum),
        "a whole refresh": partial(_measured, block, [one for one in statistics() if one.tier == "refresh"]),
        "a moment of live statistics": partial(
            _measured, block, [o for o in statistics() if o.tier == "live"]
        ),
        "a step of the arm none": Block(block.spec, "none", block.seeds).update,
    }
    for run in contenders.values():
        run()
    times = in_turns({name: partial(_milliseconds, run) for name, run in contenders.items()}, rounds)
    return [_moment_row(name, seeds, probe, times) for name in list(contenders)[1:4]]


def _measured(block: Block, chosen: Sequence[Statistic]) -> object:
    return block.observation.measure(chosen, block.step, block.evaluation)


def _milliseconds(run: Callable[[], object], repetitions: int = 3) -> float:
    started = time.process_time()
    for _ in range(repetitions):
        run()
    return 1e3 * (time.process_time() - started) / repetitions


def _moment_row(name: str, seeds: int, probe: int, times: Rates) -> Row:
    gradients = ratio(times, name, GRADIENT)
    held = name.startswith("trace") and probe == DIGITS
    return Row(
        name=f"{seeds} × MLP 64-128-128-10, probe {probe}: {name}",
        value=Summary.of(times[name]),
        unit="CPU-ms",
        ratios={GRADIENT: gradients, "a step of the arm none": ratio(times, name, "a step of the arm none")},
        target=f"≤ {REFRESH_TARGET} gradients" if held else "",
        met=gradients.median <= REFRESH_TARGET if held else None,
    )


def _share(seeds: int, steps: int, rounds: int) -> Row:
    """A run with the default statistics against one without any, evaluations included in both."""
    plain = digits(f"seeds={seeds}", f"train.steps={steps}")
    observed = plain.with_settings(["observe.statistics=auto"])
    contenders = {"run": partial(_run, observed), ALONE: partial(_run, plain)}
    rates = in_turns(contenders, rounds)
    share = ratio(rates, "run", ALONE)
    return Row(
        name=f"none, {seeds} × {steps:,} steps, {len(live_steps(observed))} moments of live statistics",
        value=Summary.of(rates["run"]),
        unit="steps/CPU-s",
        ratios={ALONE: share},
        target=f"≥ {SHARE_TARGET}",
        met=share.median >= SHARE_TARGET,
    )


def _run(spec: ExperimentSpec) -> float:
    block = Block(spec, "none", list(spec.seed_list()))
    started = time.process_time()
    while not block.finished:
        block.advance()
    return spec.train.steps / (time.process_time() - started)


def _spread(repetitions: int) -> list[Row]:
    """The relative standard deviation of the refreshed trace over independent draws, of three nets of an arm."""
    chosen = [one for one in statistics() if one.name == "spectrum"]
    rows = []
    for arm in ("none", "dropout", "explicit"):
        block = _trained(digits("seeds=3", f"observe.probe={DIGITS}"), arm)
        traces = np.array([_trace(block, chosen, step) for step in range(repetitions)])
        spread = 100 * traces.std(0, ddof=1) / traces.mean(0)
        rows.append(
            Row(
                name=f"Hessian trace at {PRODUCTS} products, relative sd, {arm}, {repetitions} draws",
                value=Summary(
                    median=float(np.median(spread)), lower=float(spread.min()), upper=float(spread.max())
                ),
                unit=f"% ({spread.min():.1f} to {spread.max():.1f})",
                target=f"≤ {TRACE_TARGET:g} %",
                met=bool(np.median(spread) <= TRACE_TARGET),
            )
        )
    return rows


def _trace(block: Block, chosen: Sequence[Statistic], step: int) -> np.ndarray:
    """Random numbers are addressed by the step, so each step is a draw of its own."""
    records = block.observation.measure(chosen, step, block.evaluation)
    (found,) = (one.values for one in records if isinstance(one, Record) and one.name == "spectrum/trace")
    return found


def _trained(spec: ExperimentSpec, arm: str) -> Block:
    block = Block(spec.with_settings(["observe.evaluations=1"]), arm, list(spec.seed_list()))
    while not block.finished:
        block.advance()
    return block
