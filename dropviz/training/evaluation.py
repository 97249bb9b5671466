"""What is read at an evaluation point: losses of whole splits, the best weights so far, pictures and texts."""

from __future__ import annotations

from math import log

import numpy as np
import torch
from torch import Tensor

from dropviz.datasets import Text
from dropviz.experiment import ExperimentSpec, picture_steps
from dropviz.models.model import Carried
from dropviz.streams import generator
from dropviz.training.feed import Feed, Segments
from dropviz.training.records import Record, Snapshot, record
from dropviz.training.stacked import StackedModel

SURFACE_SIZE = 48  # pixels of a decision surface, each way
PROMPT_TOKENS, SAMPLE_TOKENS = 8, 60


class Evaluation:
    """Evaluates a block; never changes training.

    Attributes:
        best_loss: The lowest validation loss of each seed so far (S,).
        best: The weights that had it, by name, where the experiment keeps them.
        waited: Evaluations since the last time that any seed became better.
        ended: Whether early stopping has come.
    """

    def __init__(self, spec: ExperimentSpec, feed: Feed, stacked: StackedModel) -> None:
        self.spec, self.feed, self.stacked = spec, feed, stacked
        self.task = spec.data.task
        self.picture_steps = set(picture_steps(spec))
        found = [spec.data.references(seed) for seed in stacked.seeds]
        self.references = {name: torch.tensor([values[name] for values in found]) for name in found[0]}
        self.best_loss = torch.full((len(stacked.seeds),), torch.inf, device=stacked.device)
        self.best: dict[str, Tensor] = {}
        self.waited, self.ended = 0, False
        self._predictions: list[tuple[Tensor, Tensor]] | None = None

    def at(self, step: int) -> list[Record]:
        """Records of training and validation, and at the end, once, of the test split with the weights to be judged."""
        loss, _ = self._losses("train")
        found = {"train/loss": loss} | self._metrics("validation")
        self._compare(found["validation/loss"])
        self.ended = self.waited >= self.spec.train.patience > 0
        if self.ended or step == self.spec.train.steps:
            found |= self._metrics("test", self.best or None)
        for name, values in self.references.items():
            found |= {name: values} | self._readable(name, values)
        return [record(step, name, values) for name, values in found.items()]

    def _metrics(self, split: str, parameters: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        loss, right = self._losses(split, parameters)
        found = {f"{split}/loss": loss}
        if self.task.kind == "classification":
            found[f"{split}/accuracy"] = right
        return found | self._readable(f"{split}/loss", loss)

    def _readable(self, name: str, loss: Tensor) -> dict[str, Tensor]:
        """A loss a token in the unit that is usual: bits a character, else perplexity."""
        kind, _, metric = name.partition("/")
        if self.task.kind != "language" or metric != "loss":
            return {}
        if self.task.token == "character":
            return {f"{kind}/bits_per_character": loss / log(2)}
        return {f"{kind}/perplexity": loss.double().exp()}

    def _losses(self, split: str, parameters: dict[str, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Mean loss and, of a classification but for training examples, accuracy over a split: (S,) each."""
        losses, right, pieces = [], [], []
        carried: Carried = {}
        for piece in self.feed.pieces(split):
            if piece.starts:
                carried = {}
            z = self.stacked.logits(piece.x, carried, parameters=parameters)
            rows = self.stacked.loss.value(z, piece.y)
            losses.append(rows if piece.counted is None else rows[:, -piece.counted :])
            if self.task.kind == "classification" and split != "train":
                right.append((z.argmax(-1) == piece.y).to(torch.float32))
                pieces.append((z, piece.y))
        if split == "validation":
            self._predictions = pieces
        return _mean(losses), _mean(right)

    def predictions(self) -> list[tuple[Tensor, Tensor]]:
        """Of a classification, logits and labels of the validation split at the latest evaluation, piece by piece."""
        if self._predictions is None:  # a run that goes on between an evaluation and its statistics
            self._losses("validation")
        return self._predictions or []

    def _compare(self, loss: Tensor) -> None:
        train = self.spec.train
        if not (train.keep_best or train.patience):
            return
        better = loss < self.best_loss
        self.waited = 0 if bool(better.any()) else self.waited + 1
        self.best_loss = loss.where(better, self.best_loss)
        if not train.keep_best:
            return
        for name, value in self.stacked.parameters.items():
            now = value.detach()
            former = self.best.get(name, now)
            self.best[name] = now.where(better.view(-1, *[1] * (now.ndim - 1)), former).clone()

    def pictures(self, step: int) -> list[Snapshot]:
        """The decision surface, or a generated text, of the first seed, where it is time for one."""
        if step not in self.picture_steps:
            return []
        if self.spec.data.planar:
            return [Snapshot(step=step, name="surface", array=self._surface())]
        prompt, text = (np.frombuffer(part.encode(), dtype=np.uint8) for part in self._sample(step))
        return [
            Snapshot(step=step, name="prompt", array=prompt),
            Snapshot(step=step, name="sample", array=text),
        ]

    def _surface(self) -> np.ndarray:
        left, right, bottom, top = self.spec.data.extent
        across = torch.linspace(left, right, SURFACE_SIZE, device=self.stacked.device)
        up = torch.linspace(bottom, top, SURFACE_SIZE, device=self.stacked.device)
        grid = torch.cartesian_prod(up, across).flip(-1)[None]
        p = self.stacked.logits(grid, first=True).softmax(-1)[0, :, 1]
        return (p * 255).round().to(torch.uint8).view(SURFACE_SIZE, SURFACE_SIZE).cpu().numpy()

    def _sample(self, step: int) -> tuple[str, str]:
        """The first tokens of the validation text, and again with what the first seed's network makes of them."""
        assert isinstance(self.feed, Segments)
        text: Text = self.feed.texts[0]
        random = generator(self.stacked.seeds[0], f"sample/{step}")
        tokens = [int(token) for token in text.validation[:PROMPT_TOKENS]]
        carried: Carried = {}
        unread = tokens
        for _ in range(SAMPLE_TOKENS):
            x = torch.tensor(unread, device=self.stacked.device).view(1, 1, -1)
            p = self.stacked.logits(x, carried, first=True)[0, -1].double().softmax(-1).cpu().numpy()
            tokens.append(int(random.choice(len(p), p=p / p.sum())))
            unread = tokens[-1:] if carried else tokens[-self.feed.full :]
        return text.vocabulary.decode(tokens[:PROMPT_TOKENS]), text.vocabulary.decode(tokens)

    def state(self) -> dict[str, Tensor]:
        """What has to be remembered, by name."""
        found = {f"best/{name}": value for name, value in self.best.items()}
        return found | {"best_loss": self.best_loss, "waited": torch.tensor(self.waited)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from there."""
        device = self.stacked.device
        self.best_loss, self.waited = state["best_loss"].to(device), int(state["waited"])
        self.ended = self.waited >= self.spec.train.patience > 0
        self.best = {
            name.removeprefix("best/"): value.to(device)
            for name, value in state.items()
            if name.startswith("best/")
        }


def _mean(pieces: list[Tensor]) -> Tensor:
    """Over the rows of all pieces (S, rows): (S,); nothing of none."""
    if len(pieces) > 1:
        return torch.cat(pieces, dim=1).mean(-1)
    return pieces[0].mean(-1) if pieces else torch.empty(0)
