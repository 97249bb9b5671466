"""What every data set, model, arm and statistic keeps to, tried on those that extensions bring. torch is imported when it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dropviz import datasets, models, statistics
from dropviz.catalogue import brought
from dropviz.datasets import Dataset, Splits, Text
from dropviz.experiment import ExperimentSpec
from dropviz.models import Model
from dropviz.strategies import strategy

if TYPE_CHECKING:
    from dropviz.training import Block

STEPS = 3
DATA = ("two-moons", "digits", "diabetes", "markov")  # of every kind, for models and arms to be tried on


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What was tried, and what is wrong with it; empty where nothing is."""

    what: str
    problem: str = ""


def check() -> Iterator[Tried]:
    """Try each part of each extension, one after the other; seconds each."""
    checks: dict[str, Callable[[str], str]] = {
        "data set": lambda name: check_data(datasets.registry.read(name)),
        "model": lambda name: check_model(models.registry.read(name)),
        "arm": check_arm,
        "statistic": check_statistic,
    }
    for one in brought():
        yield from (Tried(what=one.origin, problem=problem) for problem in one.problems)
        for kind, name in one.parts:
            what = f"{one.origin}: {kind} {name}"
            yield Tried(what=what, problem=_tried(partial(checks[kind], name)) if kind in checks else "")


def _tried(act: Callable[[], str]) -> str:
    try:
        return act()
    except Exception as error:  # of somebody else's code anything can come
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def check_data(data: Dataset) -> str:
    """Whether it is here, is the same each time, and is what its task says."""
    if reason := data.missing():
        return reason
    first, again, task = data.load(0), data.load(0), data.task
    if not all(np.array_equal(vars(first)[name], vars(again)[name]) for name in _arrays(first)):
        return "two calls of load with one seed give different data: draw from dropviz.streams.generator(seed, …)"
    if isinstance(first, Text) != (task.kind == "language"):
        return f"load gives {type(first).__name__}, and its task is {task.kind}"
    for name in ("train", "validation", "test"):
        if problem := _split(first, name, data):
            return f"the {name} split: {problem}"
    return "" if type(data).from_table(data.to_table()) == data else "from_table(to_table()) is not the same"


def _arrays(loaded: Splits | Text) -> list[str]:
    return [name for name, value in vars(loaded).items() if isinstance(value, np.ndarray)]


def _split(loaded: Splits | Text, name: str, data: Dataset) -> str:
    task = data.task
    if isinstance(loaded, Text):
        tokens = vars(loaded)[name]
        good = len(tokens) > 1 and tokens.min() >= 0 and tokens.max() < task.outputs
        return "" if good else f"tokens are not numbers from 0 to {task.outputs - 1}"
    x, y = vars(loaded)[f"x_{name}"], vars(loaded)[f"y_{name}"]
    if x.dtype != np.float32 or x.shape[1:] != task.shape or len(x) != len(y) or not len(x):
        return (
            f"x is {x.dtype} {x.shape} for {len(y)} targets: it should be float32 (examples, *{task.shape})"
        )
    if not np.isfinite(x).all():
        return "x holds values that are not finite"
    if task.kind == "regression":
        good = y.dtype == np.float32 and y.shape[1:] == (task.outputs,)
        return "" if good else f"y is {y.dtype} {y.shape}: it should be float32 (examples, {task.outputs})"
    good = y.dtype == np.int64 and y.ndim == 1 and y.min() >= 0 and y.max() < task.outputs
    return "" if good else f"y should be int64 class numbers from 0 to {task.outputs - 1}"


def check_model(model: Model) -> str:
    """Whether it trains with and without dropout and with the formulas, on data of every kind that it can learn."""
    learned = [name for name in DATA if not model.unfit(datasets.registry.read(name).task)]
    if not learned:
        return "it can learn none of classes, numbers and text"
    for name in learned:
        for arm in ("none", "dropout", "explicit+implicit"):
            if problem := _trains(_spec(data=name, model=model), arm):
                return f"{arm} on {name}: {problem}"
    return ""


def check_arm(name: str) -> str:
    """Whether it trains on data of every kind that it fits."""
    for data in DATA:
        if not strategy(name).unfit(datasets.registry.read(data).task):
            table = {"name": models.usual(datasets.registry.read(data).task)}
            if problem := _trains(_spec(data=data, model=table), name):
                return f"on {data}: {problem}"
    return ""


def check_statistic(name: str) -> str:
    """Whether it gives a number a seed under names of its own groups, and training does not notice."""
    from dropviz.training import Record

    (chosen,) = (one for one in statistics.statistics() if one.name == name)
    for data in DATA:
        task = datasets.registry.read(data).task
        watched, alone = (
            _block(_spec(data=data, model={"name": models.usual(task)}), "dropout") for _ in "ab"
        )
        for record in watched.observation.measure([chosen], 0, watched.evaluation):
            if record.name.partition("/")[0] not in chosen.groups:
                return f"{record.name} on {data} begins with none of its groups: {', '.join(chosen.groups)}"
            if isinstance(record, Record) and record.values.shape != (2,):
                return f"{record.name} on {data} is not one number a seed"
        watched.update(), alone.update()
        if _weights(watched) != _weights(alone):
            return (
                f"training on {data} comes out differently where it is measured: draw from moment.draws alone"
            )
    return ""


def _spec(**parts: Any) -> ExperimentSpec:
    table = {"arms": ["none"], "seeds": 2, "train": {"steps": STEPS, "batch_size": 4, "learning_rate": 0.01}}
    quiet = {"evaluations": 1, "statistics": 0, "probe": 8, "masks": 2}
    return ExperimentSpec.from_table(table | {"language": {"segment": 5}, "observe": quiet} | parts)


def _block(spec: ExperimentSpec, arm: str, seeds: tuple[int, ...] = (0, 1)) -> Block:
    from dropviz.training import Block

    return Block(spec, arm, seeds)


def _weights(block: Block) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in block.weights().items()}


def _trains(spec: ExperimentSpec, arm: str) -> str:
    """What goes wrong in a few steps: not finite, nothing moves, sites that are not what they say, seeds that touch each other."""
    block, alone = _block(spec, arm), _block(spec, arm, (1,))
    before = _weights(block)
    for _ in range(STEPS):
        terms = block.update()
        for term in (terms.data, terms.explicit, terms.implicit):
            if term is not None and (tuple(term.shape) != (2,) or not term.isfinite().all()):
                return "a term of the loss is not one finite number a seed"
        alone.update()
    if still := sorted(name for name, content in _weights(block).items() if content == before[name]):
        return f"{still[0]} does not change in {STEPS} steps"
    network = block.stacked.network(block.feed.batch(STEPS))
    if tuple(network.shapes) != spec.model.sites():
        return f"it drops at {tuple(network.shapes)}, and its sites are {spec.model.sites()}"
    for name, value in block.weights().items():
        if not np.allclose(value[1:], alone.weights()[name], rtol=1e-3, atol=1e-5):
            return f"{name} of a seed comes out differently where another seed trains beside it"
    return ""
