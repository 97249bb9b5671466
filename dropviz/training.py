"""The training loop: one arm, a block of seeds, one program.

A ``Block`` trains from one evaluation point to the next and hands out what it recorded there. Its state is
the weights, the optimizer's memory and the step: all random numbers are addressed by step, so a run that is
stopped and resumed ends bit-identical to one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.experiment import (
    ExperimentSpec,
    TrainChoices,
    evaluation_interval,
    evaluation_steps,
    surrogate_choices,
)
from dropviz.losses import cross_entropy
from dropviz.masks import Draws, Watch, keep_all, variance
from dropviz.masks import Record as SiteShapes
from dropviz.optimizers import Adam, AdamW, Optimizer, Sgd, clip, rate_factor
from dropviz.regularizers import LossTerms, Network
from dropviz.statistics import Moment, statistics
from dropviz.strategies import strategy
from dropviz.streams import MOST_STEPS, BitStreams

if TYPE_CHECKING:
    from dropviz.datasets import Splits

SURFACE_SIZE = 48  # pixels of a decision surface, each way
MOST_SURFACES = 25
CHECKED_TOGETHER = 64  # steps whose losses are looked at together: a look at each would wait for the device


@dataclass(frozen=True, kw_only=True)
class Record:
    """A metric at a step: ``values`` holds a number a seed, float64."""

    step: int
    name: str
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A picture at a step, uint8; ``surface`` is P(class 1) × 255 over the plane, rows from bottom to top."""

    step: int
    name: str
    array: np.ndarray


class Diverged(RuntimeError):
    """The loss is no longer a finite number; ``records`` are the points of the stretch before that."""

    def __init__(self, step: int, seeds: Sequence[int], learning_rate: float) -> None:
        self.step = step
        self.records: list[Record | Snapshot] = []
        names = ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(str(seed) for seed in seeds)
        super().__init__(
            f"The loss of {names} was not finite at step {step}: lower the learning rate"
            f" ({learning_rate:g}), λ or μ, or the drop probability."
        )


class Minibatches:
    """Row numbers drawn uniformly with replacement, an independent stream a seed: (S, B) at every step."""

    def __init__(self, seeds: Sequence[int], examples: int, batch_size: int, device: str) -> None:
        self.streams = BitStreams(seeds, ["train/minibatch"], batch_size)
        self.examples, self.batch_size, self.device = examples, batch_size, device
        self.offsets = np.arange(len(seeds), dtype=np.int64)[:, None] * examples
        self.first, self.rows = 0, torch.empty(0)

    def at(self, step: int) -> Tensor:
        """Rows of the stacked training split laid end to end (S × examples): (S × B,)."""
        if not self.first <= step < self.first + len(self.rows):
            self.first, words = self.streams.buffer(step)
            high = words[:, :, 0, : self.batch_size] >> np.uint64(32)
            chosen = (high * np.uint64(self.examples)) >> np.uint64(32)
            rows = chosen.astype(np.int64) + self.offsets
            self.rows = torch.from_numpy(rows.reshape(len(rows), -1)).to(self.device)
        return self.rows[step - self.first]


class Block:
    """One arm and a block of seeds, trained together.

    Args:
        spec: The experiment that the arm belongs to.
        arm: Its name.
        seeds: Seeds whose networks are stacked; a seed's minibatches, masks and split do not depend on the
            others.
        device: ``cpu``, ``cuda`` or ``mps``.
    """

    def __init__(self, spec: ExperimentSpec, arm: str, seeds: Sequence[int], device: str = "cpu") -> None:
        self.spec, self.strategy, self.seeds, self.device = spec, strategy(arm), tuple(seeds), device
        self.surrogate = surrogate_choices(spec)
        self.step, self.total, self.finished = 0, spec.train.steps, False
        self.evaluated_at = -1  # the step of the latest evaluation
        interval = evaluation_interval(spec)  # what the steps since then optimized:
        self.data_terms, self.penalties = torch.zeros(2, interval, len(self.seeds), device=device)
        self.clipped = torch.zeros_like(self.penalties[0])  # in how many of them clipping acted
        self._load_data([spec.data.load(seed) for seed in self.seeds])
        self._build_model()
        batch = min(spec.observe.probe, self.y_train.shape[1])
        self.probe = self._network(self.x_train[:, :batch], self.y_train[:, :batch])
        size = min(spec.train.batch_size, batch)
        self.batches = [
            self._network(self.x_train[:, first : first + size], self.y_train[:, first : first + size])
            for first in range(0, batch - size + 1, size)
        ]
        self.memory: dict[str, Tensor] = {}
        steps = evaluation_steps(spec)
        self.statistic_steps = _spread(steps, spec.observe.statistics)
        self.surface_steps = _spread(steps, MOST_SURFACES) if spec.data.planar else set()

    def _load_data(self, splits: list[Splits]) -> None:
        for name in vars(splits[0]):
            setattr(self, name, torch.from_numpy(np.stack([vars(s)[name] for s in splits])).to(self.device))
        self.x_train: Tensor
        self.y_train: Tensor
        self.x_rows, self.y_rows = self.x_train.flatten(0, 1), self.y_train.flatten()
        self.minibatches = Minibatches(
            self.seeds, self.x_train.shape[1], self.spec.train.batch_size, self.device
        )

    def _build_model(self) -> None:
        spec = self.spec
        initial = [spec.model.initial(seed, spec.data.features, spec.data.classes) for seed in self.seeds]
        self.parameters = {
            name: torch.from_numpy(np.stack([values[name] for values in initial]))
            .to(self.device)
            .requires_grad_()
            for name in initial[0]
        }
        self.leaves = list(self.parameters.values())
        self.optimizer = _optimizer(spec.train, self.leaves)
        self.variances = {site: variance(spec.p) for site in spec.model.sites()}
        self.draws = self._draws("train", spec.train.batch_size)

    def advance(self, seconds: float = math.inf) -> list[Record | Snapshot]:
        """Train to the next evaluation point and return what was recorded there.

        After so many ``seconds`` it returns nothing, to be called again: where it pauses does not change a number.
        The first call records the losses of the untrained network, and the second one begins with its statistics: so
        somebody who watches sees a first point at once. The last one reads the test split, once.

        Raises:
            Diverged: A loss is not finite; the error has what was recorded before it.
        """
        if self.evaluated_at < 0:
            return self._evaluate()
        records: list[Record | Snapshot] = []
        if self.step == 0:
            records += self._measure()
        try:
            target = self._following_evaluation()
            self._train_until(target, time.monotonic() + seconds)
            if self.step < target:
                return records
            records += [*self._mean_of_stretch(), *self._evaluate()]
        except Diverged as error:
            error.records += records
            raise
        records += self._measure()
        self.finished = self.step == self.total
        return records

    def _following_evaluation(self) -> int:
        return min(self.total, self.evaluated_at + evaluation_interval(self.spec))

    def _train_until(self, target: int, deadline: float) -> None:
        """Train towards an evaluation point, at least a little, and keep what each step optimizes."""
        while self.step < target:
            first, last = self.step, min(target, self.step + CHECKED_TOGETHER)
            for index in range(first - self.evaluated_at, last - self.evaluated_at):
                terms = self.update()
                self.data_terms[index] = terms.data.detach()
                if terms.explicit is not None:
                    self.penalties[index] = terms.explicit.detach()
            self._check_finite(self._objectives(last)[first - self.evaluated_at :], first)
            if time.monotonic() > deadline:
                return

    def _objectives(self, last: int) -> Tensor:
        """Of each step since the latest evaluation, up to ``last``."""
        count = last - self.evaluated_at
        return self.data_terms[:count] + self.penalties[:count]

    def _mean_of_stretch(self) -> list[Record]:
        records = [self._record("train/objective", self._objectives(self.step).mean(0))]
        if self.strategy.penalized:
            penalties = self.penalties[: self.step - self.evaluated_at]
            records.append(self._record("train/penalty", penalties.mean(0)))
        if self.spec.train.clip:
            records.append(self._record("train/clipped", self.clipped / (self.step - self.evaluated_at)))
            self.clipped.zero_()
        return records

    def update(self) -> LossTerms:
        """One step of the arm: draw a minibatch, differentiate the arm's terms, move the weights."""
        rows, size = self.minibatches.at(self.step), self.spec.train.batch_size
        x = self.x_rows.index_select(0, rows).view(len(self.seeds), size, -1)
        y = self.y_rows.index_select(0, rows).view(len(self.seeds), size)
        self.draws.step = self.step
        terms = self.strategy.objective(self._network(x, y), self.draws, self.surrogate)
        gradients, factor = self._gradients(terms), rate_factor(self.spec.train, self.step)
        self.step += 1
        self.optimizer.step(gradients, self.step, factor)
        return terms

    def _gradients(self, terms: LossTerms) -> Sequence[Tensor]:
        """Of the sum, clipped where that is asked for; noise that is not to be clipped joins it afterwards."""
        train = self.spec.train
        if not train.clip:
            return grad(terms.total, self.leaves)
        noise: Sequence[Tensor] = ()
        if terms.implicit is not None and not train.clip_noise:
            noise = grad(terms.implicit.sum(), self.leaves, retain_graph=True, materialize_grads=True)
            terms = replace(terms, implicit=None)
        gradients, acted = clip(grad(terms.total, self.leaves), train.clip)
        self.clipped += acted
        return list(torch._foreach_add(gradients, list(noise))) if noise else gradients

    def _network(self, x: Tensor, y: Tensor) -> Network:
        model, parameters = self.spec.model, self.parameters

        def output(watch: Watch) -> tuple[str, Tensor, Tensor] | None:
            found = model.output_layer(parameters)
            return found and (found[0], watch.before[found[0]], found[1])

        return Network(
            forward=lambda behaviour: model.forward(parameters, x, behaviour),
            y=y,
            variances=self.variances,
            jacobians=lambda directions: model.jacobians(parameters, x, directions),
            output=output,
            parameters=self.leaves,
        )

    def _draws(self, purpose: str, rows: int, ahead: int = MOST_STEPS) -> Draws:
        shapes = SiteShapes()
        with torch.no_grad():
            self.spec.model.forward(self.parameters, self.x_train[:, :1], shapes)
        sites = {site: (rows, *shape[1:]) for site, shape in shapes.shapes.items()}
        return Draws(self.seeds, sites, self.spec.p, purpose=purpose, device=self.device, ahead=ahead)

    def _evaluate(self) -> list[Record | Snapshot]:
        records = [*self._losses("train"), *self._losses("validation")]
        self._check_finite(torch.from_numpy(records[0].values)[None], self.step)
        self.evaluated_at = self.step
        records = records[:1] + records[2:]  # accuracy on noisy training labels would only confuse
        if self.step == self.total:
            records += self._losses("test")
        if self.step in self.surface_steps:
            return [*records, self._surface()]
        return list(records)

    def _losses(self, split: str) -> list[Record]:
        x, y = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
        with torch.no_grad():
            z = self.spec.model.forward(self.parameters, x, keep_all)
            loss = cross_entropy.value(z, y).mean(-1)
            right = (z.argmax(-1) == y).to(torch.float32).mean(-1)
        return [self._record(f"{split}/loss", loss), self._record(f"{split}/accuracy", right)]

    def _measure(self) -> list[Record]:
        if self.step not in self.statistic_steps:
            return []
        moment = Moment(
            step=self.step,
            strategy=self.strategy,
            parameters=self.leaves,
            probe=self.probe,
            batches=self.batches,
            draws=lambda name, rows: self._draws(f"statistic/{self.step}/{name}", rows, ahead=1),
            surrogate=self.surrogate,
            masks=self.spec.observe.masks,
            batch_size=self.spec.train.batch_size,
            memory=self.memory,
        )
        found = [item for statistic in statistics() for item in statistic.measure(moment).items()]
        return [self._record(name, values) for name, values in found]

    def _surface(self) -> Snapshot:
        left, right, bottom, top = self.spec.data.extent
        across = torch.linspace(left, right, SURFACE_SIZE, device=self.device)
        up = torch.linspace(bottom, top, SURFACE_SIZE, device=self.device)
        grid = torch.cartesian_prod(up, across).flip(-1)[None]
        first = {name: value[:1] for name, value in self.parameters.items()}
        with torch.no_grad():
            p = self.spec.model.forward(first, grid, keep_all).softmax(-1)[0, :, 1]
        array = (p * 255).round().to(torch.uint8).view(SURFACE_SIZE, SURFACE_SIZE).cpu().numpy()
        return Snapshot(step=self.step, name="surface", array=array)

    def _record(self, name: str, values: Tensor) -> Record:
        return Record(step=self.step, name=name, values=values.detach().cpu().numpy().astype(np.float64))

    def _check_finite(self, losses: Tensor, first: int) -> None:
        finite = losses.isfinite()
        if bool(finite.all()):
            return
        index = int((~finite.all(-1)).nonzero()[0])
        seeds = [seed for seed, good in zip(self.seeds, finite[index].tolist(), strict=True) if not good]
        raise Diverged(first + index, seeds, self.spec.train.learning_rate)

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on bit-identically, as flat named tensors: a copy, which training does not change."""
        saved: dict[str, Tensor] = {f"parameter/{name}": value for name, value in self.parameters.items()}
        for name, values in self.optimizer.state.items():
            saved |= {f"optimizer/{name}/{index}": value for index, value in enumerate(values)}
        saved |= {f"memory/{name}": value for name, value in self.memory.items()}
        saved |= {"clipped": self.clipped} if self.spec.train.clip else {}
        saved["step"] = torch.tensor(self.step)
        saved["evaluated_at"] = torch.tensor(self.evaluated_at)
        since = self.step - max(0, self.evaluated_at)
        saved["stretch"] = torch.stack([self.data_terms[:since], self.penalties[:since]])
        return {name: value.detach().contiguous().to("cpu", copy=True) for name, value in saved.items()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a saved state."""
        for key, value in state.items():
            kind, _, name = key.partition("/")
            if kind == "parameter":
                self.parameters[name].detach().copy_(value)
            elif kind == "clipped":
                self.clipped.copy_(value)
            elif kind == "memory":
                self.memory[name] = value.to(self.device)
            elif kind == "optimizer":
                entry, _, index = name.partition("/")
                self.optimizer.state[entry][int(index)].copy_(value)
        self.step = int(state["step"])
        self.evaluated_at, self.finished = int(state["evaluated_at"]), self.step == self.total
        since = state["stretch"].shape[1]
        self.data_terms[:since], self.penalties[:since] = state["stretch"].to(self.device)


def _optimizer(train: TrainChoices, parameters: list[Tensor]) -> Optimizer:
    common = {"learning_rate": train.learning_rate, "weight_decay": train.weight_decay}
    if train.optimizer == "sgd":
        return Sgd(parameters, momentum=train.momentum, **common)
    return {"adam": Adam, "adamw": AdamW}[train.optimizer](parameters, **common)


def _spread(steps: list[int], count: int) -> set[int]:
    if count == 0:
        return set()
    if count == 1:
        return {steps[-1]}
    return {steps[round(i * (len(steps) - 1) / (count - 1))] for i in range(count)}
