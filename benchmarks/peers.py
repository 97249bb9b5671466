"""What others offer for the same curvature of the same trained network.

The network is one seed of the default preset after its 1,500 steps without dropout, the rows are its 400 training digits.
hessian-eigenthings and curvlinops belong to the development requirements. PyHessian is measured where it can be imported;
``PEERS.md`` says how, and what was found once.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import count
from typing import Any

import hessian_eigenthings
import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.bare import BareLoop
from benchmarks.measure import Rates, Row, Summary, in_turns, ratio, say
from benchmarks.nets import bare_loop, digits
from dropviz.curvature import hessian_trace, spectral_density, top_eigenvalues
from dropviz.curvature.measures import TraceMethod
from dropviz.training import Block

with warnings.catch_warnings():  # what they say of the TorchScript and the types that they use
    warnings.simplefilter("ignore")
    import curvlinops

TOP, TRACE, DENSITY = "top eigenvalue", "trace, 48 products", "spectral density, 4 × 20 products"
FEW_STEPS, STEPS, SAMPLES, STARTS = 8, 20, 48, 4
GRADIENT, OURS = "a gradient", "DropViz"
SEEDS = count()  # without one, hessian-eigenthings draws the same numbers in every call


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a call took in processor seconds, and the number that it found."""

    seconds: float
    value: float


Contenders = dict[str, Callable[[], float]]
PyHessian = Callable[[], Any]


def measure(*, quick: bool) -> list[Row]:
    """Processor time of each package for each quantity, in gradients on the same rows, and how exact the outcome is.

    An error is the median distance to the eigenvalue by 200 products; a spread is the standard deviation over the
    repetitions.
    """
    loop = _trained()
    model, x, y = loop.network, loop.x, loop.y
    exact = float(top_eigenvalues(model, x, y, steps=200).values[0])
    theirs, rounds = _pyhessian(model, x, y), 3 if quick else 15
    rows = _compare(
        TOP,
        loop,
        _eigenvalues(model, x, y, theirs),
        rounds,
        lambda found: f"error {_error(found, exact):.1e}",
    )
    rows += _compare(
        TRACE, loop, _traces(model, x, y, theirs), rounds, lambda found: f"spread {_spread(found):.1%}"
    )
    return rows + _compare(DENSITY, loop, _densities(model, x, y), max(3, rounds // 3), lambda found: "")


def _trained() -> BareLoop:
    """Its network has the weights of a block at the end of training."""
    spec = digits()
    block, loop = Block(spec, "none", [0]), bare_loop(spec, 0, dropout=False)
    for _ in range(spec.train.steps):
        block.update()
    with torch.no_grad():
        for theirs, ours in zip(loop.network.parameters(), block.parameters.values(), strict=True):
            theirs.copy_(ours[0].T.reshape(theirs.shape))
    return loop


def _compare(
    quantity: str, loop: BareLoop, contenders: Contenders, rounds: int, describe: Callable[[list[float]], str]
) -> list[Row]:
    timed = {name: partial(_timed, compute) for name, compute in contenders.items()}
    timed |= {GRADIENT: partial(_timed, partial(_gradients, loop))}
    for compute in timed.values():
        compute()
    outcomes = in_turns(timed, rounds)
    seconds: Rates = {name: [one.seconds for one in found] for name, found in outcomes.items()}
    seconds[GRADIENT] = [value / STEPS for value in seconds[GRADIENT]]
    return [
        Row(
            name=f"{quantity}: {name}",
            value=Summary.of([1000 * value for value in seconds[name]]),
            unit=", ".join(filter(None, ["CPU-ms", describe([one.value for one in outcomes[name]])])),
            ratios={
                other: ratio(seconds, name, other)
                for other in (GRADIENT, next(iter(contenders)))
                if other != name
            },
        )
        for name in contenders
    ]


def _timed(compute: Callable[[], float]) -> Outcome:
    started = time.process_time()
    value = compute()
    return Outcome(seconds=time.process_time() - started, value=value)


def _gradients(loop: BareLoop) -> float:
    """As many as a Lanczos run has steps."""
    for _ in range(STEPS):
        loss = loop.criterion(loop.network(loop.x), loop.y)
        torch.autograd.grad(loss, list(loop.network.parameters()))
    return float(loss.detach())


def _error(found: list[float], exact: float) -> float:
    return float(np.median(np.abs(np.divide(found, exact) - 1)))


def _spread(found: list[float]) -> float:
    return float(np.std(found, ddof=1) / np.mean(found))


def _eigenvalues(model: nn.Module, x: Tensor, y: Tensor, theirs: PyHessian | None) -> Contenders:
    """Lanczos where it is offered; PyHessian has the power iteration, and stops by itself at 1e-3."""

    def ours(steps: int) -> float:
        return float(top_eigenvalues(model, x, y, steps=steps).values[0])

    def eigenthings() -> float:
        operator = _operator(model, x, y)
        return float(
            hessian_eigenthings.lanczos(
                operator, k=1, max_iter=STEPS, which="LA", seed=next(SEEDS)
            ).eigenvalues[0]
        )

    def arpack() -> float:
        operator = _linear_operator(model, x, y).to_scipy()
        return float(eigsh(operator, k=1, which="LA", ncv=STEPS, tol=1e-3, return_eigenvectors=False)[0])

    found: Contenders = {
        f"{OURS}, {STEPS} products": partial(ours, STEPS),
        f"{OURS}, {FEW_STEPS} products": partial(ours, FEW_STEPS),
        f"hessian-eigenthings, {STEPS} products": eigenthings,
        "curvlinops with eigsh to 1e-3": arpack,
    }
    if theirs:
        found[f"PyHessian, {STEPS} products"] = lambda: theirs().eigenvalues(maxIter=STEPS, tol=0)[0][0]
        found["PyHessian to 1e-3"] = lambda: theirs().eigenvalues()[0][0]
    return found


def _traces(model: nn.Module, x: Tensor, y: Tensor, theirs: PyHessian | None) -> Contenders:
    def ours(method: TraceMethod) -> float:
        return hessian_trace(model, x, y, samples=SAMPLES, method=method).mean

    def eigenthings(method: Any) -> float:
        operator = _operator(model, x, y)
        return hessian_eigenthings.trace(
            operator, num_matvecs=SAMPLES, method=method, seed=next(SEEDS)
        ).estimate

    def linear(method: Callable[[Any, int], Tensor]) -> float:
        return float(method(_linear_operator(model, x, y), SAMPLES))

    found: Contenders = {
        f"{OURS}, XTrace": partial(ours, "xtrace"),
        f"{OURS}, Hutchinson": partial(ours, "hutchinson"),
        "hessian-eigenthings, Hutch++": partial(eigenthings, "hutch++"),
        "hessian-eigenthings, Hutchinson": partial(eigenthings, "hutchinson"),
        "curvlinops, XTrace": partial(linear, curvlinops.xtrace),
        "curvlinops, Hutch++": partial(linear, curvlinops.hutchpp_trace),
    }
    if theirs:
        found["PyHessian, Hutchinson"] = lambda: float(np.mean(theirs().trace(maxIter=SAMPLES, tol=0)))
    return found


def _densities(model: nn.Module, x: Tensor, y: Tensor) -> Contenders:
    """The number that is handed on is where the density ends, which nobody compares."""

    def ours() -> float:
        return float(spectral_density(model, x, y, steps=STEPS, probes=STARTS).nodes.max())

    def eigenthings() -> float:
        found = hessian_eigenthings.spectral_density(
            _operator(model, x, y), num_runs=STARTS, lanczos_steps=STEPS, seed=next(SEEDS)
        )
        return float(found.raw_eigenvalues.max())

    def linear() -> float:
        grid, _ = curvlinops.lanczos_approximate_spectrum(
            _linear_operator(model, x, y), ncv=STEPS, num_repeats=STARTS
        )
        return float(grid.max())

    return {
        OURS: ours,
        "hessian-eigenthings": eigenthings,
        "curvlinops, which looks for the ends first": linear,
    }


def _operator(model: nn.Module, x: Tensor, y: Tensor) -> Any:
    return hessian_eigenthings.HessianOperator(
        model, [(x, y)], hessian_eigenthings.supervised_loss(functional.cross_entropy)
    )


def _linear_operator(model: nn.Module, x: Tensor, y: Tensor) -> Any:
    return curvlinops.HessianLinearOperator(
        model, nn.CrossEntropyLoss(), list(model.parameters()), [(x, y)], check_deterministic=False
    )


def _pyhessian(model: nn.Module, x: Tensor, y: Tensor) -> PyHessian | None:
    if find_spec("pyhessian") is None:
        say("PyHessian cannot be imported and is left out: benchmarks/PEERS.md says how to have it.")
        return None
    from pyhessian import hessian

    own = copy.deepcopy(model)  # it leaves gradients behind
    return lambda: hessian(own, nn.CrossEntropyLoss(), data=(x, y), cuda=False)
