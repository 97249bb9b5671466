"""Estimators of R as code: lines that leave the logits in ``z`` and R in ``R``."""

from __future__ import annotations

from dropviz.experiment import ExperimentSpec, surrogate_choices
from dropviz.scripts.network import ScriptNetwork, at_ones

CONSTANT = "  # H_out is held constant, as in the authors' code"


def curvature_at(spec: ExperimentSpec) -> tuple[str, str]:
    """Where H_out is taken, as code, and a comment that says why."""
    return ("z.detach()", CONSTANT) if spec.surrogate.hessian == "constant" else ("z", "")


def regularizer(spec: ExperimentSpec, network: ScriptNetwork) -> tuple[list[str], bool]:
    """The lines, and whether they need the network in two steps."""
    estimator, (at, why) = surrogate_choices(spec).estimator, curvature_at(spec)
    if estimator == "exact":
        if network.text:
            rows = "torch.eye(len(z))" if network.drops_weights else "torch.eye(SEGMENT).repeat(1, BATCH)"
            return [*at_ones(network), f"R = exact_regularizer(z, {at}, mask, {rows}){why}"], False
        return [f"z, slopes = with_slopes(w, x{network.past})", f"R = regularizer({at}, slopes){why}"], False
    if estimator == "auto" and network.last is not None:
        return _last_site_apart(spec, network), True
    found = {
        "forward": f"forward_regularizer(z, {at}, mask, random_direction(step{{stream}}))",
        "sampled-label": _sampled_label(spec),
    }.get(estimator, f"squared_slopes(z, mask, random_column({at}, step{{stream}}))")
    return [*at_ones(network), f"R = {_averaged(spec, found)}{why}"], False


def _last_site_apart(spec: ExperimentSpec, network: ScriptNetwork) -> list[str]:
    """The last site in closed form, the others, if any, by a random column."""
    assert network.last is not None
    (site, weight), (at, why), handed = network.last, curvature_at(spec), network.handed
    lines = [
        "mask = ones()",
        f"{handed} = hidden(w, x, mask{network.past})",
        f"z = output(w, mask, {handed})",
    ]
    lines += [f'R = last_site({at}, h, {weight}, "{site}"){why}']
    if len(network.sites) == 1:
        return lines
    found = _averaged(spec, f"squared_slopes(z, others, random_column({at}, step{{stream}}))")
    return [
        *lines,
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
    return f"mean_of([{found.format(stream=', stream')} for stream in STREAMS])"
