"""Tokens per second of each arm of the LSTM language model, against a bare loop over ``nn.LSTM`` and the paper's route.

The size is that of the preset ``reference-lstm``: 2,000 words, two tied layers of 128, 20 streams of 35 tokens, clipping;
random tokens, as none of this depends on which they are. Memory is what one step's tensors take at most. Last, the time of
one epoch of WikiText-2 (2,088,628 training tokens) at that size, as these speeds project it, not as anybody ran it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.measure import Row, Summary, in_turns, ratio, steps_per_second
from benchmarks.surrogates import PaperRoute, memory
from dropviz.experiment import ExperimentSpec, preset
from dropviz.training import Block

WORDS, WIDTH, P, STREAMS, SEGMENT, CLIP = 2000, 128, 0.4, 20, 35, 0.25
WIKITEXT_2 = 2_088_628
BARE, BARE_DROPOUT = "bare nn.LSTM", "bare nn.LSTM with dropout"
PAPER = "paper's route, both terms"
ARMS = (
    "none",
    "dropout",
    "dropout-8",
    "dropout-8+mask-noise",
    "dropout-8+analytic-noise",
    "explicit",
    "implicit",
    "explicit+implicit",
    "explicit-identity",
    "explicit-loss-jacobian",
    "explicit-argmax",
    "linearized",
    "gaussian",
    "l2",
)
SHARED = "explicit+implicit, shared tangent"


class Locked(nn.Dropout):
    """One mask for all tokens of a stream; in eval mode the identity, as every dropout."""

    def forward(self, h: Tensor) -> Tensor:
        """(B, T, W), the mask (B, 1, W)."""
        return h * super().forward(torch.ones_like(h[:, :1])) if self.training else h


class Bare(nn.Module):
    """Embedding, two layers ``nn.LSTM``, an output tied to the embedding; the state is carried by the caller."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.embedding, self.last = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WORDS)
        self.last.weight = self.embedding.weight
        self.layers = nn.ModuleList([nn.LSTM(WIDTH, WIDTH, batch_first=True) for _ in range(2)])
        self.drops = nn.ModuleList([Locked(p) for _ in range(3)])
        self.state: list[tuple[Tensor, Tensor] | None] = [None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, T, V) of words (B, T), from the state that the last call left."""
        h = self.drops[0](self.embedding(x))
        for index, layer in enumerate(self.layers):
            h, (one, other) = layer(h, self.state[index])
            self.state[index] = (one.detach(), other.detach())
            h = self.drops[index + 1](h)
        return self.last(h)


def bare(p: float) -> Callable[[], None]:
    """One step of the loop that one would write by hand."""
    model = Bare(p).train(p > 0)
    return partial(_update, model, lambda x, y: functional.cross_entropy(model(x).flatten(0, 1), y))


def paper() -> Callable[[], None]:
    """One step of the authors' way on the same network; without oneDNN, whose second derivative is slow."""
    model = Bare(P).eval()

    def loss(x: Tensor, y: Tensor) -> Tensor:
        route.x, route.y = x, y
        with torch.backends.mkldnn.flags(enabled=False):
            return route()

    route = PaperRoute(model, torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
    return partial(_update, model, loss)


def _update(model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    words = torch.randint(WORDS, (STREAMS, SEGMENT + 1))
    value = loss(words[:, :-1], words[:, 1:].flatten())
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(value, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    nn.utils.clip_grad_norm_(parameters, CLIP)
    with torch.no_grad():
        for parameter in parameters:
            parameter -= 1e-6 * parameter.grad


def experiment(*settings: str) -> ExperimentSpec:
    """The preset with a learning rate that changes nothing."""
    fixed = [
        "train.learning_rate=1e-6",
        f"train.clip={CLIP}",
        "train.optimizer=sgd",
        "observe.statistics=0",
    ]
    return preset("reference-lstm").with_settings([*fixed, *settings])


def updates(arms: Sequence[str] = ARMS) -> dict[str, Callable[[], object]]:
    """One step of every contender, by name."""
    found: dict[str, Callable[[], object]] = {BARE: bare(0.0), BARE_DROPOUT: bare(P)}
    found |= {arm: Block(experiment(), arm, [0]).update for arm in arms}
    shared = experiment("surrogate.shared_tangent=true")
    found[SHARED] = Block(shared, "explicit+implicit", [0]).update
    found["8 seeds stacked, dropout"] = Block(experiment(), "dropout", list(range(8))).update
    found[PAPER] = paper()
    return found


def measure(*, quick: bool) -> list[Row]:
    """Every contender in turns: tokens per second of processor time, both denominators, the paper's speed, memory."""
    contenders = updates()
    for update in contenders.values():
        update()
    timed = {name: partial(steps_per_second, update, 2) for name, update in contenders.items()}
    rates = in_turns(timed, 3 if quick else 9)
    return [_row(name, rates, memory(contenders[name])) for name in contenders]


def _row(name: str, rates: dict[str, list[float]], megabytes: float) -> Row:
    tokens = STREAMS * SEGMENT * (8 if name.startswith("8 seeds") else 1)
    times = {one: [1 / rate for rate in found] for one, found in rates.items()}
    speed = Summary.of([tokens * rate for rate in rates[name]])
    against = {"plain step": ratio(times, name, "none"), "dropout step": ratio(times, name, "dropout")}
    against |= {f"time of {BARE}": ratio(times, name, BARE), "paper's speed": ratio(rates, name, PAPER)}
    epoch = WIKITEXT_2 / speed.median / 60
    return Row(
        name=name,
        value=speed,
        unit=f"tokens/CPU-s, {megabytes:.0f} MB, WikiText-2 epoch {epoch:.1f} min",
        ratios=against,
    )
