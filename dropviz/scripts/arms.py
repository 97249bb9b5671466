"""Arms as code: for each a function of a step, whose value is the training objective and whose gradient is the arm's direction.

Noise has no value of its own: it enters as ``noise - noise.detach()``, which is 0 and has the gradient ξ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dropviz.choices import SpecError
from dropviz.experiment import ExperimentSpec, surrogate_choices
from dropviz.scripts.network import ScriptNetwork, function
from dropviz.strategies import Strategy, strategy
from dropviz.strategies.ablation import Ablation
from dropviz.strategies.dropout import Dropout
from dropviz.strategies.gaussian import Gaussian
from dropviz.strategies.l2 import L2
from dropviz.strategies.linearized import Linearized
from dropviz.strategies.none import NoDropout
from dropviz.strategies.surrogate import AnalyticSurrogate

AT_ONES = ("mask = ones()", "z = network(w, x, mask)")
LOSS = "loss(z, y).mean()"
CONSTANT = "  # H_out is held constant, as in the authors' code"
EACH_STREAM = "for stream in STREAMS) / len(STREAMS)"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """An arm's function: its formula, and lines that end in a return.

    Attributes:
        formula: What a step goes down along, in a sentence.
        lines: Of code, in ``w``, ``x``, ``y`` and ``step``.
        apart: Whether the network comes in two steps, as the closed form of the last site's share needs it.
        noisy: Whether it has a noise term of its own.
        identity: Whether I / C stands in place of H_out.
    """

    formula: str
    lines: Sequence[str]
    apart: bool = False
    noisy: bool = False
    identity: bool = False


def objective_of(spec: ExperimentSpec, arm: str, network: ScriptNetwork) -> Objective:
    """What a step of this arm differentiates, as code.

    Raises:
        SpecError: There is no script for such an arm yet, or nothing could run it.
    """
    chosen = strategy(arm)
    match chosen:
        case NoDropout():
            return _plain("ℓ(0), the plain loss")
        case Dropout():
            return _dropout(chosen, _added(spec))
        case Gaussian():
            return Objective(
                formula="ℓ(ε) with normal ε of dropout's variance",
                lines=["return loss(network(w, x, gaussian_masks(step)), y).mean()"],
            )
        case L2():
            return Objective(
                formula="ℓ(0) + ½ s ‖w‖², weight decay written as a penalty",
                lines=[
                    "squares = torch.stack([value.flatten().square().sum(-1) for value in w.values()]).sum()",
                    "return loss(network(w, x, PLAIN), y).mean() + L2 / 2 * squares",
                ],
            )
        case Linearized():
            return Objective(
                formula="ℓ(z(0) + Jε) with a dropout mask ε and the Jacobian J of the logits in ε",
                lines=[
                    *AT_ONES,
                    "epsilon = {site: drawn - 1 for site, drawn in dropout_masks(step).items()}",
                    "return loss(z + tangent(z, mask, epsilon), y).mean()",
                ],
            )
        case AnalyticSurrogate():
            return _analytic(spec, chosen, network)
        case Ablation():
            return _ablation(spec, chosen, network)
    raise SpecError(f"{arm} has no script yet: write it out by hand, or run it with `dropviz run`.")


def function_of(objective: Objective, name: str) -> str:
    """The source of an arm's function."""
    return function(f"{name}(w, x, y, step)", f"{objective.formula}.", objective.lines)


def function_name(chosen: Strategy) -> str:
    """What the function is called."""
    return "objective_of_" + chosen.name.replace("+", "_").replace("-", "_")


def _plain(formula: str) -> Objective:
    return Objective(formula=formula, lines=["return loss(network(w, x, PLAIN), y).mean()"])


def _added(spec: ExperimentSpec) -> str:
    """How noise joins an objective: in its gradient alone; or, where clipping is to leave it alone, beside it."""
    return "{objective} + (noise - noise.detach())" if spec.train.clip_noise else "{objective}, noise"


def _dropout(chosen: Dropout, added: str) -> Objective:
    if chosen.k == 1:
        return Objective(
            formula="ℓ(ε), the loss under a mask",
            lines=["return loss(network(w, x, dropout_masks(step)), y).mean()"],
        )
    formula = "1/k Σ ℓ(ε_i), the mean loss of k masks"
    count = "MASKS + 2" if chosen.noise == "mask" else "MASKS"
    lines = [
        f"z = network(w, x, several_dropout_masks(step, {count}))",
        f"losses = loss(z.flatten(0, 1), repeated(y, {count})).view({count}, -1).mean(-1)",
    ]
    if chosen.noise is None:
        return Objective(formula=formula, lines=[*lines, "return losses.mean()"])
    if chosen.noise == "mask":
        formula += ", and √(1 - 1/k) ξ with ξ the difference of two further masks over √2"
        lines += ["noise = sqrt(1 - 1 / MASKS) / sqrt(2) * (losses[MASKS] - losses[MASKS + 1])"]
    else:
        formula += ", and √(1 - 1/k) ξ with ξ the gradient of ∇ℓᵀJη, η = ±√v"
        lines += [*AT_ONES, "noise = sqrt(1 - 1 / MASKS) * along_signs(z, y, mask, step)"]
    value = "losses[:MASKS].mean()" if chosen.noise == "mask" else "losses.mean()"
    lines += ["return " + added.format(objective=value)]
    return Objective(formula=formula, lines=lines, noisy=True)


def _analytic(spec: ExperimentSpec, chosen: AnalyticSurrogate, network: ScriptNetwork) -> Objective:
    choices = surrogate_choices(spec)
    explicit, implicit = chosen.explicit and choices.explicit > 0, chosen.implicit and choices.implicit > 0
    if not (explicit or implicit):
        return _plain("ℓ(0), as its strengths are 0")
    if explicit and implicit and choices.shared_tangent:
        return _from_one_tangent(spec)
    formula, value = "ℓ(0)", LOSS
    lines, apart = [*AT_ONES], False
    noise = "along_signs(z, y, mask, step)"
    if explicit:
        lines, apart = _with_regularizer(spec, network)
        formula, value = f"{formula} + λR with R = ½ Σ v tr(Jᵀ H_out J)", f"{LOSS} + LAMBDA * R"
        if "slopes" in lines[0]:
            noise = "noise_of_slopes(z, y, slopes, step)"
    if implicit:
        formula += ", and μξ with ξ the gradient of ∇ℓᵀJη, η = ±√v"
        lines, value = [*lines, f"noise = MU * {noise}"], _added(spec).format(objective=value)
    return Objective(formula=formula, lines=[*lines, f"return {value}"], apart=apart, noisy=implicit)


def _from_one_tangent(spec: ExperimentSpec) -> Objective:
    at, why = _curvature_at(spec)
    return Objective(
        formula="ℓ(0) + λ ½ tᵀ H_out t, and μξ with ξ the gradient of ∇ℓᵀt, for one tangent t = Jη, η = ±√v",
        lines=[
            *AT_ONES,
            "t = tangent(z, mask, random_direction(step))",
            f"R = quadratic({at}, t).mean() / 2{why}",
            "noise = MU * (loss_gradient(z, y) * t).sum(-1).mean()",
            "return " + _added(spec).format(objective=f"{LOSS} + LAMBDA * R"),
        ],
        noisy=True,
    )


def _ablation(spec: ExperimentSpec, chosen: Ablation, network: ScriptNetwork) -> Objective:
    if not surrogate_choices(spec).explicit:
        return _plain("ℓ(0), as λ is 0")
    if chosen.instead == "identity":
        if spec.surrogate.estimator == "sampled-label":
            raise SpecError(
                f"{chosen.name} has no labels to draw: set surrogate.estimator to another one than sampled-label."
            )
        lines, apart = _with_regularizer(spec, network)
        formula = "ℓ(0) + λR with R = ½ Σ v tr(JᵀJ) / C: I / C in place of H_out"
        return Objective(
            formula=formula, lines=[*lines, f"return {LOSS} + LAMBDA * R"], apart=apart, identity=True
        )
    label, what = {
        "loss-jacobian": ("y", "the true label"),
        "argmax": ("z.argmax(-1)", "the most likely label"),
    }[chosen.instead]
    return Objective(
        formula=f"ℓ(0) + λR with R = ½ Σ v ‖∂ℓ/∂ε‖² of the loss at {what}",
        lines=[
            *AT_ONES,
            f"R = squared_slopes(z, mask, loss_gradient(z, {label}))",
            f"return {LOSS} + LAMBDA * R",
        ],
    )


def _curvature_at(spec: ExperimentSpec) -> tuple[str, str]:
    """Where H_out is taken, and why."""
    return ("z.detach()", CONSTANT) if spec.surrogate.hessian == "constant" else ("z", "")


def _with_regularizer(spec: ExperimentSpec, network: ScriptNetwork) -> tuple[list[str], bool]:
    """Lines that leave the loss in ``data`` and R in ``R``, and whether they need the network in two steps."""
    estimator, (at, why) = surrogate_choices(spec).estimator, _curvature_at(spec)
    if estimator == "exact":
        return ["z, slopes = with_slopes(w, x)", f"R = regularizer({at}, slopes){why}"], False
    if estimator == "auto" and network.last is not None:
        steps = [f"{network.handed} = hidden(w, x, mask)", f"z = output(w, mask, {network.handed})"]
        return ["mask = ones()", *steps, *_last_site_apart(spec, network)], True
    found = {
        "forward": f"forward_regularizer(z, {at}, mask, random_direction(step{{stream}}))",
        "sampled-label": _sampled_label(spec),
    }.get(estimator, f"squared_slopes(z, mask, random_column({at}, step{{stream}}))")
    return [*AT_ONES, f"R = {_averaged(spec, found)}{why}"], False


def _last_site_apart(spec: ExperimentSpec, network: ScriptNetwork) -> list[str]:
    """The last site in closed form, the others, if any, by a random column."""
    assert network.last is not None
    (site, weight), (at, why) = network.last, _curvature_at(spec)
    closed = f'R = last_site({at}, h, {weight}, "{site}"){why}'
    if len(network.sites) == 1:
        return [closed]
    found = _averaged(spec, f"squared_slopes(z, others, random_column({at}, step{{stream}}))")
    return [
        closed,
        f'others = {{name: mask[name] for name in SITES if name != "{site}"}}',
        f"R = {found} + R",
    ]


def _sampled_label(spec: ExperimentSpec) -> str:
    if spec.surrogate.hessian == "constant":
        return "squared_slopes(z, mask, loss_gradient(z, sampled_label(z, step{stream})))"
    return "sampled_label_regularizer(z, mask, sampled_label(z, step{stream}))"


def _averaged(spec: ExperimentSpec, found: str) -> str:
    """An estimate, or the mean over several streams."""
    if surrogate_choices(spec).samples == 1:
        return found.format(stream="")
    return f"sum({found.format(stream=', stream')} {EACH_STREAM}"
