"""The one sentence: a decomposition in words, with its uncertainty and what has to be known with it."""

from __future__ import annotations

from dataclasses import dataclass

from dropviz.analysis import FEWEST_SEEDS, Decomposition, Interval
from dropviz.analysis.score import Score, levels, score_of
from dropviz.experiment import ExperimentSpec, surrogate_choices


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The decomposition as a sentence: (text, is it a number to look at) in order, and a quieter note below."""

    parts: tuple[tuple[str, bool], ...]
    note: str = ""

    @property
    def text(self) -> str:
        """The sentence alone."""
        return "".join(text for text, _ in self.parts)


def headline(decomposition: Decomposition, spec: ExperimentSpec) -> Headline:
    """The sentence that a decomposition allows, and what has to be known with it."""
    d = decomposition
    if d.gain is None:
        return Headline(parts=((_incomplete(spec), False),))
    split, _, metric = d.metric.partition("/")
    score = score_of(spec.data.task, metric)
    name, unit = f"{split} {metric}", f" {score.unit}" if score.unit else ""
    seeds = "1 seed" if d.n == 1 else f"{d.n} paired seeds"
    gain = d.gain if d.gain.estimate > 0 else d.gain.times(-1)
    amount = (f"{score.amount(gain.estimate)}{score.bracket(gain.lower, gain.upper)}", True)
    parts: tuple[tuple[str, bool], ...]
    if d.verdict == "no gain to explain":
        change = d.gain.times(-1) if score.less_is_better else d.gain  # m(dropout) − m(none)
        difference = (
            f"{score.amount(change.estimate)}{score.bracket(change.lower, change.upper)}{unit}",
            True,
        )
        parts = ((f"Here dropout makes no difference to {name} that {seeds} can show: ", False), difference)
        parts = (*parts, (". There is no gain to explain.", False))
    elif d.gain.estimate == 0:
        parts = ((f"Here dropout makes no difference to {name}.", False),)
    else:
        gains = d.gain.estimate > 0
        verb = ("gains" if gains else "costs", f" of {name}")
        if score.less_is_better:
            verb = (f"{'lowers' if gains else 'raises'} {name} by", _levels(d, spec))
        rest = _share_parts(d) if gains else ((".", False),)
        parts = ((f"Here dropout {verb[0]} ", False), amount, (f"{unit}{verb[1]}", False), *rest)
    return Headline(parts=parts, note=_note(d, spec, score, seeds))


def _levels(d: Decomposition, spec: ExperimentSpec) -> str:
    """From which perplexity to which, of a text: of the mean loss, as the gain is."""
    task = spec.data.task
    if task.kind != "language" or d.baseline is None or d.gain is None:
        return ""
    return f" ({levels(task, d.baseline, d.baseline - d.gain.estimate)})"


def _share_parts(d: Decomposition) -> tuple[tuple[str, bool], ...]:
    """The sentence from the gain on."""
    if d.explicit_share is None and d.faithfulness is None:
        return ((".", False),)
    if d.explicit_share is None or d.faithfulness is None:
        one = d.explicit_share or d.faithfulness
        assert one is not None
        if d.explicit_share is None:
            return ((". The formulas reproduce ", False), (_percent(one), True), (" of it.", False))
        return (
            (". The explicit effect accounts for ", False),
            (_percent(one), True),
            (_rest(one) + ".", False),
        )
    return (
        (". The explicit effect accounts for ", False),
        (_percent(d.explicit_share), True),
        (f"{_rest(d.explicit_share)}; the formulas reproduce ", False),
        (_percent(d.faithfulness), True),
        (" of it.", False),
    )


def _rest(explicit: Interval) -> str:
    return " of it, the implicit for the rest" if explicit.estimate <= 1 else " of it, the implicit for none"


def _incomplete(spec: ExperimentSpec) -> str:
    missing = [arm for arm in ("none", "dropout") if arm not in spec.arms]
    if not missing:
        return "No seed has a result in all arms that are compared, so there is no gain to take apart."
    arms = f"the arm {missing[0]}" if len(missing) == 1 else "the arms none and dropout"
    return f"To see what dropout gains, add {arms}."


def _note(d: Decomposition, spec: ExperimentSpec, score: Score, seeds: str) -> str:
    notes = [f"{seeds}, 95 % intervals in brackets"]
    if d.n < FEWEST_SEEDS:
        notes = [f"{seeds}: an anecdote, so no interval"]
    if score.meaning:
        notes.append(f"loss is {score.meaning}")
    if spec.data.task.kind == "language":
        notes.append(spec.data.tokens_described())
    if d.explicit_share is not None:
        notes.append(f"explicit share at k = {d.k}, which keeps 1/{d.k} of the noise")
    if d.mask_noise is not None and d.mask_noise.equivalent is not None:
        margin = f"{score.factor * d.mask_noise.margin:g} {score.unit}".strip()
        said = "returns" if d.mask_noise.equivalent else "is not shown to return"
        notes.append(f"mask noise {said} dropout-{d.k} to dropout within {margin}")
    if d.faithfulness is not None:
        notes += _departures(spec)
    return " · ".join(notes)


def _departures(spec: ExperimentSpec) -> list[str]:
    """What about the formulas is not as the theory has it."""
    chosen = surrogate_choices(spec)
    estimators = {"exact": [], "auto": ["R by the last layer exact and root-Hessian for the others"]}
    found = estimators.get(chosen.estimator, [f"{chosen.estimator} estimator"])
    found = [*found, "both terms from a shared tangent"] if chosen.shared_tangent else [*found]
    found += ["output Hessian held constant, as in the paper's code"] if chosen.hessian == "constant" else []
    found += [f"λ = {chosen.explicit:g}"] if chosen.explicit != 1 else []
    return found + ([f"μ = {chosen.implicit:g}"] if chosen.implicit != 1 else [])


def _percent(one: Interval) -> str:
    percent = Score(metric="share", unit="%", factor=100, digits=0)
    return f"{percent.amount(one.estimate)} %{percent.bracket(one.lower, one.upper)}"
