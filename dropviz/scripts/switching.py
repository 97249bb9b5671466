"""Arms that switch as code: a function for each of their arms, and one that asks the step which of them it is."""

from __future__ import annotations

from dropviz.choices import SpecError
from dropviz.experiment import ExperimentSpec
from dropviz.scripts.arms import Objective, function_name, function_of, objective_of
from dropviz.scripts.network import ScriptNetwork, function
from dropviz.strategies import Strategy


def objective_source(
    spec: ExperimentSpec, chosen: Strategy, network: ScriptNetwork
) -> tuple[Objective, str, str]:
    """What a run of this arm goes down along, the name of its function, and the source of all that there are.

    Raises:
        SpecError: See ``arms.objective_of``; or its arms cannot be in one script.
    """
    stretches = chosen.stretches(spec.train.steps)
    found = {arm.name: objective_of(spec, arm, network) for arm, _ in stretches}
    names = {arm.name: function_name(arm) for arm, _ in stretches}
    sources = [function_of(one, names[arm], network) for arm, one in found.items()]
    if len(stretches) == 1:
        return found[chosen.at(0).name], names[chosen.at(0).name], sources[0]
    _check(spec, chosen, network, found)
    together = _by_step(spec, chosen, network, found)
    head = f"objective_by_step(w, x, y, step{network.past})"
    chooses = function(head, f"{chosen.label[0].upper()}{chosen.label[1:]}.", together.lines)
    return together, "objective_by_step", "\n\n\n".join([*sources, chooses])


def _by_step(
    spec: ExperimentSpec, chosen: Strategy, network: ScriptNetwork, found: dict[str, Objective]
) -> Objective:
    lines, formulas, last = list[str](), list[str](), 0
    for arm, count in chosen.stretches(spec.train.steps):
        last += count
        call = f"return {function_name(arm)}(w, x, y, step{network.past})"
        lines += [f"if step < {last}:", f"    {call}"] if last < spec.train.steps else [call]
        formulas.append(found[arm.name].formula)
    return Objective(
        formula=", then of ".join(formulas),
        lines=lines,
        apart=any(one.apart for one in found.values()),
        noisy=any(one.noisy for one in found.values()),
        identity=any(one.identity for one in found.values()),
    )


def _check(
    spec: ExperimentSpec, chosen: Strategy, network: ScriptNetwork, found: dict[str, Objective]
) -> None:
    """Refuse what one script cannot hold.

    Raises:
        SpecError: It cannot; the message says what can be done instead.
    """
    why = ""
    if network.text and chosen.replicas > 1:
        why = "on a text with several masks a step, whose states differ: choose one mask"
    elif len({one.noisy for one in found.values()}) > 1 and not spec.train.clip_noise:
        why = (
            "with train.clip_noise = False, as only one of its arms has noise to leave alone: set it to true"
        )
    elif len({one.identity for one in found.values() if "R" in one.formula}) > 1:
        why = "between explicit-identity and another explicit arm, which see different Hessians: choose one of them"
    if why:
        raise SpecError(
            f"A script of {chosen.name} cannot be written yet {why}, or keep the run by `dropviz run`."
        )
