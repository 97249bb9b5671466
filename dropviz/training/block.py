"""One arm and a block of seeds, trained together.

A ``Block`` trains from one evaluation point to the next and hands out what it recorded there. Its state is
the weights, the optimizer's memory, what a text carries along and the step: all random numbers are addressed by step, so a
run that is stopped and resumed ends bit-identical to one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.autograd import grad

from dropviz.experiment import ExperimentSpec, TrainChoices, evaluation_interval, surrogate_choices
from dropviz.masks import Draws
from dropviz.optimizers import Adam, AdamW, Optimizer, Sgd, clip, rate_factor
from dropviz.regularizers import LossTerms, Network
from dropviz.strategies import strategy
from dropviz.streams import MOST_STEPS
from dropviz.training.evaluation import Evaluation
from dropviz.training.feed import feed
from dropviz.training.observation import Observation
from dropviz.training.records import Diverged, Record, Snapshot, record
from dropviz.training.stacked import StackedModel

CHECKED_TOGETHER = 64  # steps whose losses are looked at together: a look at each would wait for the device


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
        self.seconds = dict.fromkeys(
            ("training", "evaluation", "statistics"), 0.0
        )  # spent so far, by this process
        interval = evaluation_interval(spec)  # what the steps since then optimized:
        self.data_terms, self.penalties = torch.zeros(2, interval, len(self.seeds), device=device)
        self.clipped = torch.zeros_like(self.penalties[0])  # in how many of them clipping acted
        self.feed = feed(spec, self.seeds, device)
        self.stacked = StackedModel(spec, self.seeds, device)
        self.parameters = self.stacked.parameters
        self.optimizer = _optimizer(spec.train, self.stacked.leaves)
        self.evaluation = Evaluation(spec, self.feed, self.stacked)
        self.observation = Observation(spec, self.strategy, self.feed, self.stacked)
        self._draws: dict[int, Draws] = {}

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
            with self._timed("training"):
                self._train_until(target, time.monotonic() + seconds)
            if self.step < target:
                return records
            records += [*self._mean_of_stretch(), *self._evaluate()]
        except Diverged as error:
            error.records += records
            raise
        records += self._measure()
        self.finished = self.step == self.total or self.evaluation.ended
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
                elif self.strategy.penalized:  # in other steps than these
                    self.penalties[index] = 0.0
            self._check_finite(self._objectives(last)[first - self.evaluated_at :], first)
            if time.monotonic() > deadline:
                return

    def _objectives(self, last: int) -> Tensor:
        """Of each step since the latest evaluation, up to ``last``."""
        count = last - self.evaluated_at
        return self.data_terms[:count] + self.penalties[:count]

    def _mean_of_stretch(self) -> list[Record]:
        records = [record(self.step, "train/objective", self._objectives(self.step).mean(0))]
        if self.strategy.penalized:
            penalties = self.penalties[: self.step - self.evaluated_at]
            records.append(record(self.step, "train/penalty", penalties.mean(0)))
        if self.spec.train.clip:
            records.append(record(self.step, "train/clipped", self.clipped / (self.step - self.evaluated_at)))
            self.clipped.zero_()
        return records

    def update(self) -> LossTerms:
        """One step of the arm: draw a minibatch, differentiate the arm's terms, move the weights."""
        batch = self.feed.batch(self.step)
        if batch.starts:
            self.stacked.start_anew()
        network = self.stacked.network(batch, carry=True)
        terms = self.strategy.at(self.step).objective(network, self._draws_of(network), self.surrogate)
        gradients, factor = self._gradients(terms), rate_factor(self.spec.train, self.step)
        if self.spec.language.scale_rate:
            factor *= batch.share
        self.step += 1
        self.optimizer.step(gradients, self.step, factor)
        self.stacked.go_on()
        return terms

    def _draws_of(self, network: Network) -> Draws:
        """Of the current step; segments of a text may differ in length, and then no step is like the next."""
        if network.rows not in self._draws:
            varying = self.spec.language.random_lengths
            self._draws = {
                network.rows: self.stacked.draws(network, "train", ahead=1 if varying else MOST_STEPS)
            }
        draws = self._draws[network.rows]
        draws.step = self.step
        return draws

    def _gradients(self, terms: LossTerms) -> Sequence[Tensor]:
        """Of the sum, clipped where that is asked for; noise that is not to be clipped joins it afterwards."""
        train = self.spec.train
        if not train.clip:
            return terms.gradients(self.stacked.leaves)
        noise: Sequence[Tensor] = ()
        if terms.implicit is not None and not train.clip_noise:
            noise = grad(terms.implicit.sum(), self.stacked.leaves, retain_graph=True, materialize_grads=True)
            terms = replace(terms, implicit=None)
        gradients, acted = clip(terms.gradients(self.stacked.leaves), train.clip)
        self.clipped += acted
        return list(torch._foreach_add(gradients, list(noise))) if noise else gradients

    def _evaluate(self) -> list[Record | Snapshot]:
        with self._timed("evaluation"):
            records = self.evaluation.at(self.step)
            self._check_finite(torch.from_numpy(records[0].values)[None], self.step)
            self.evaluated_at = self.step
            return [*records, *self.evaluation.pictures(self.step)]

    def _measure(self) -> list[Record | Snapshot]:
        with self._timed("statistics"):
            return self.observation.at(self.step, self.evaluation)

    def measure_rest(self) -> list[Record | Snapshot]:
        """Records of the statistics that the run does not have at this step."""
        with self._timed("statistics"):
            return self.observation.rest(self.step, self.evaluation)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[what] += time.monotonic() - started

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
        saved |= {f"memory/{name}": value for name, value in self.observation.memory.items()}
        saved |= {f"evaluation/{name}": value for name, value in self.evaluation.state().items()}
        for replicas, carried in self.stacked.carried.items():
            saved |= {f"carried/{replicas}/{name}": value for name, value in carried.items()}
        saved |= {"clipped": self.clipped} if self.spec.train.clip else {}
        saved["step"] = torch.tensor(self.step)
        saved["evaluated_at"] = torch.tensor(self.evaluated_at)
        since = self.step - max(0, self.evaluated_at)
        saved["stretch"] = torch.stack([self.data_terms[:since], self.penalties[:since]])
        return {name: value.detach().contiguous().to("cpu", copy=True) for name, value in saved.items()}

    def weights(self) -> dict[str, np.ndarray]:
        """The stacked parameters (S, …) by name: a copy."""
        return {name: value.detach().to("cpu", copy=True).numpy() for name, value in self.parameters.items()}

    def load_weights(self, weights: Mapping[str, np.ndarray], step: int) -> None:
        """Take the weights that a block like this one had after so many steps, to be measured and not to go on from."""
        for name, value in weights.items():
            self.parameters[name].detach().copy_(torch.from_numpy(value))
        self.step = step

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a saved state."""
        for key, value in state.items():
            kind, _, name = key.partition("/")
            if kind == "parameter":
                self.parameters[name].detach().copy_(value)
            elif kind == "clipped":
                self.clipped.copy_(value)
            elif kind == "memory":
                self.observation.memory[name] = value.to(self.device)
            elif kind == "optimizer":
                entry, _, index = name.partition("/")
                self.optimizer.state[entry][int(index)].copy_(value)
            elif kind == "carried":
                replicas, _, entry = name.partition("/")
                self.stacked.carried.setdefault(int(replicas), {})[entry] = value.to(self.device)
        of_evaluation = "evaluation/"
        self.evaluation.load_state(
            {key.removeprefix(of_evaluation): state[key] for key in state if key.startswith(of_evaluation)}
        )
        self.step, self.evaluated_at = int(state["step"]), int(state["evaluated_at"])
        self.finished = self.step == self.total or self.evaluation.ended
        since = state["stretch"].shape[1]
        self.data_terms[:since], self.penalties[:since] = state["stretch"].to(self.device)


def _optimizer(train: TrainChoices, parameters: list[Tensor]) -> Optimizer:
    common = {"learning_rate": train.learning_rate, "weight_decay": train.weight_decay}
    if train.optimizer == "sgd":
        return Sgd(parameters, momentum=train.momentum, **common)
    return {"adam": Adam, "adamw": AdamW}[train.optimizer](parameters, **common)
