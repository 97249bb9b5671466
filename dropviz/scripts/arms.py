"""Arms as code: for each a function of a step, whose value is the training objective and whose gradient is the arm's direction.

Noise has no value of its own: it enters as ``noise - noise.detach()``, which is 0 and has the gradient ξ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dropviz.choices import SpecError
from dropviz.experiment import ExperimentSpec, surrogate_choices
from dropviz.scripts.estimators import curvature_at, regularizer
from dropviz.scripts.network import ScriptNetwork, at_ones, function
from dropviz.strategies import Strategy
from dropviz.strategies.ablation import Ablation
from dropviz.strategies.dropout import Dropout
from dropviz.strategies.gaussian import Gaussian
from dropviz.strategies.l2 import L2
from dropviz.strategies.linearized import Linearized
from dropviz.strategies.none import NoDropout
from dropviz.strategies.surrogate import AnalyticSurrogate

LOSS = "loss(z, y).mean()"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """An arm's function: its formula, and lines that end in a return.

    Attributes:
        formula: What a step goes down along, in a sentence.
        lines: Of code, in ``w``, ``x``, ``y`` and ``step``, of a text ``past``.
        apart: Whether the network comes in two steps, as the closed form of the last site's share needs it.
        noisy: Whether it has a noise term of its own.
        identity: Whether I / C stands in place of H_out.
    """

    formula: str
    lines: Sequence[str]
    apart: bool = False
    noisy: bool = False
    identity: bool = False


def objective_of(spec: ExperimentSpec, chosen: Strategy, network: ScriptNetwork) -> Objective:
    """What a step of this arm differentiates, as code.

    Raises:
        SpecError: There is no script for such an arm yet, or nothing could run it.
    """
    match chosen:
        case NoDropout():
            return _under_masks(network, "ℓ(0), the plain loss", "PLAIN")
        case Dropout():
            return _dropout(spec, chosen, network)
        case Gaussian():
            return _under_masks(network, "ℓ(ε) with normal ε of dropout's variance", "gaussian_masks(step)")
        case L2():
            return _l2(network)
        case Linearized():
            return _linearized(network)
        case AnalyticSurrogate():
            return _analytic(spec, chosen, network)
        case Ablation():
            return _ablation(spec, chosen, network)
    raise SpecError(
        f"A script of the arm {chosen.name!r} cannot be written yet: choose another arm, or keep the run by `dropviz run`."
    )


def function_of(objective: Objective, name: str, network: ScriptNetwork) -> str:
    """The source of an arm's function."""
    return function(f"{name}(w, x, y, step{network.past})", f"{objective.formula}.", objective.lines)


def function_name(chosen: Strategy) -> str:
    """What the function is called."""
    return "objective_of_" + chosen.name.replace("+", "_").replace("-", "_")


def _under_masks(network: ScriptNetwork, formula: str, masks: str) -> Objective:
    return Objective(formula=formula, lines=[f"return loss(network(w, x, {masks}{network.past}), y).mean()"])


def _l2(network: ScriptNetwork) -> Objective:
    trained = " if value.requires_grad" if network.averages else ""
    return Objective(
        formula="ℓ(0) + ½ s ‖w‖², weight decay written as a penalty",
        lines=[
            f"squares = [value.flatten().square().sum(-1) for value in w.values(){trained}]",
            f"return loss(network(w, x, PLAIN{network.past}), y).mean() + L2 / 2 * torch.stack(squares).sum()",
        ],
    )


def _linearized(network: ScriptNetwork) -> Objective:
    return Objective(
        formula="ℓ(z(0) + Jε) with a dropout mask ε and the Jacobian J of the logits in ε",
        lines=[
            *at_ones(network),
            "epsilon = {site: drawn - 1 for site, drawn in dropout_masks(step).items()}",
            "return loss(z + tangent(z, mask, epsilon), y).mean()",
        ],
    )


def _added(spec: ExperimentSpec, objective: str) -> str:
    """How noise joins an objective: in its gradient alone; or, where clipping is to leave it alone, beside it."""
    return (
        f"return {objective} + (noise - noise.detach())"
        if spec.train.clip_noise
        else f"return {objective}, noise"
    )


def _dropout(spec: ExperimentSpec, chosen: Dropout, network: ScriptNetwork) -> Objective:
    if chosen.k == 1:
        return _under_masks(network, "ℓ(ε), the loss under a mask", "dropout_masks(step)")
    formula, value = "1/k Σ ℓ(ε_i), the mean loss of k masks", "losses.mean()"
    count = "k + 2" if chosen.noise == "mask" else "k"
    masks = f"several_dropout_masks(step, {count})"
    if network.text:
        z = f"z = network(w, repeated(x, {count}), {masks}, past)"
    else:
        z = f"z = network(w, x, {masks}{network.past}).flatten(0, 1)"
    lines = [f"k = {chosen.k}", z, f"losses = loss(z, repeated(y, {count})).view({count}, -1).mean(-1)"]
    if chosen.noise is None:
        return Objective(formula=formula, lines=[*lines, f"return {value}"])
    if chosen.noise == "mask":
        formula += ", and √(1 - 1/k) ξ with ξ the difference of two further masks over √2"
        lines += ["noise = sqrt(1 - 1 / k) / sqrt(2) * (losses[k] - losses[k + 1])"]
        value = "losses[:k].mean()"
    else:
        formula += ", and √(1 - 1/k) ξ with ξ the gradient of ∇ℓᵀJη, η = ±√v"
        own = ', past.setdefault("plain", {})' if network.text else network.past
        lines += ["mask = ones()", f"z = network(w, x, mask{own})"]
        lines += ["noise = sqrt(1 - 1 / k) * along_signs(z, y, mask, step)"]
    return Objective(formula=formula, lines=[*lines, _added(spec, value)], noisy=True)


def _analytic(spec: ExperimentSpec, chosen: AnalyticSurrogate, network: ScriptNetwork) -> Objective:
    choices = surrogate_choices(spec)
    explicit, implicit = chosen.explicit and choices.explicit > 0, chosen.implicit and choices.implicit > 0
    if not (explicit or implicit):
        return _under_masks(network, "ℓ(0), as its strengths are 0", "PLAIN")
    if explicit and implicit and choices.shared_tangent:
        return _from_one_tangent(spec, network)
    formula, value, noise = "ℓ(0)", LOSS, "along_signs(z, y, mask, step)"
    lines, apart = at_ones(network), False
    if explicit:
        lines, apart = regularizer(spec, network)
        formula, value = f"{formula} + λR with R = ½ Σ v tr(Jᵀ H_out J)", f"{value} + LAMBDA * R"
        if choices.estimator == "exact" and not network.text:
            noise = "noise_of_slopes(z, y, slopes, step)"
    if not implicit:
        return Objective(formula=formula, lines=[*lines, f"return {value}"], apart=apart)
    return Objective(
        formula=f"{formula}, and μξ with ξ the gradient of ∇ℓᵀJη, η = ±√v",
        lines=[*lines, f"noise = MU * {noise}", _added(spec, value)],
        apart=apart,
        noisy=True,
    )


def _from_one_tangent(spec: ExperimentSpec, network: ScriptNetwork) -> Objective:
    at, why = curvature_at(spec)
    return Objective(
        formula="ℓ(0) + λ ½ tᵀ H_out t, and μξ with ξ the gradient of ∇ℓᵀt, for one tangent t = Jη, η = ±√v",
        lines=[
            *at_ones(network),
            "t = tangent(z, mask, random_direction(step))",
            f"R = quadratic({at}, t).mean() / 2{why}",
            "noise = MU * (loss_gradient(z, y) * t).sum(-1).mean()",
            _added(spec, f"{LOSS} + LAMBDA * R"),
        ],
        noisy=True,
    )


def _ablation(spec: ExperimentSpec, chosen: Ablation, network: ScriptNetwork) -> Objective:
    if not surrogate_choices(spec).explicit:
        return _under_masks(network, "ℓ(0), as λ is 0", "PLAIN")
    value = f"return {LOSS} + LAMBDA * R"
    if chosen.instead == "identity":
        if spec.surrogate.estimator == "sampled-label":
            raise SpecError(
                f"{chosen.name} has no labels to draw: set surrogate.estimator to another one than sampled-label."
            )
        lines, apart = regularizer(spec, network)
        formula = "ℓ(0) + λR with R = ½ Σ v tr(JᵀJ) / C: I / C in place of H_out"
        return Objective(formula=formula, lines=[*lines, value], apart=apart, identity=True)
    label, what = {
        "loss-jacobian": ("y", "the true label"),
        "argmax": ("z.argmax(-1)", "the most likely label"),
    }[chosen.instead]
    return Objective(
        formula=f"ℓ(0) + λR with R = ½ Σ v ‖∂ℓ/∂ε‖² of the loss at {what}",
        lines=[*at_ones(network), f"R = squared_slopes(z, mask, loss_gradient(z, {label}))", value],
    )
