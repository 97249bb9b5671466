"""The sentence and the ladder of an experiment, as far as it has got."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dropviz.analysis import decompose
from dropviz.analysis.headline import headline
from dropviz.analysis.score import score_of
from dropviz.charts import Subject
from dropviz.experiment import ExperimentSpec
from dropviz.store.records import FINAL
from dropviz.web.aggregate import comparison_step, summary, tidy


class Rungs(Protocol):
    """Score → arm → step → the value of each seed (see ``Aggregate``)."""

    ladder: dict[str, dict[str, dict[int, np.ndarray]]]


def story(
    spec: ExperimentSpec,
    aggregate: Rungs,
    *,
    state: str,
    failed: Collection[str] = (),
    seeds: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, Any]:
    """Headline, ladder and effects: by the test split when all is done, by the validation split until then.

    Args:
        spec: What is compared.
        aggregate: Where its results are collected.
        state: Of the experiment.
        failed: Arms that have failed.
        seeds: Of each arm, in order of its values, where they are not the spec's; those that all have are compared.
    """
    task = spec.data.task
    tested = aggregate.ladder[f"test/{task.score}"]
    split = "test" if state == "done" and len(tested) == len(spec.arms) else "validation"
    metric = f"{split}/{task.score}"
    by_arm = aggregate.ladder[metric]
    steps = _compared(by_arm, spec.train.steps, ended=tested)
    level = {arm: by_arm[arm][step] for arm, step in steps.items()}
    means = {arm: float(seeds.mean()) for arm, seeds in level.items()}
    return {
        "headline": _headline(
            spec, level, metric, seeds or {}, started=bool(by_arm), state=state, failed=failed
        ),
        "ladder": {arm: _rung(arm, found, steps.get(arm)) for arm, found in by_arm.items()},
        "ladder_title": score_of(task).axis(split),
        "effects": effects(Subject.of(spec), means),
    }


def _compared(
    by_arm: Mapping[str, Mapping[int, np.ndarray]], last_step: int, *, ended: Collection[str]
) -> dict[str, int]:
    """The step of each arm that is compared: where it ended, perhaps early; the arms that are not as far have none."""
    step = last_step if ended else comparison_step(by_arm, last_step)
    at = {arm: max(found) if arm in ended else step for arm, found in by_arm.items()}
    return {arm: step for arm, step in at.items() if step is not None and step in by_arm[arm]}


def _headline(
    spec: ExperimentSpec,
    level: Mapping[str, np.ndarray],
    metric: str,
    seeds: Mapping[str, Sequence[int]],
    *,
    started: bool,
    state: str,
    failed: Collection[str],
) -> dict[str, Any]:
    missing = [arm for arm in ("none", "dropout") if arm in spec.arms and arm not in level]
    if not started or missing:
        ended = state in FINAL or bool(set(missing) & set(failed))
        return _waiting(missing, started=started, queued=state == "queued", ended=ended)
    values = {
        arm: dict(zip(seeds.get(arm, spec.seed_list()), map(float, level[arm]), strict=True))
        for arm in spec.arms
        if arm in level
    }
    shared = set.intersection(*map(set, values.values())) if values else set()
    values = {arm: {seed: found[seed] for seed in sorted(shared)} for arm, found in values.items()}
    found = headline(decompose(values, metric), spec)
    return {"parts": [{"text": text, "strong": strong} for text, strong in found.parts], "note": found.note}


def _waiting(missing: Sequence[str], *, started: bool, queued: bool, ended: bool) -> dict[str, Any]:
    if ended:
        arms = " and ".join(missing)
        lacking = f"{arms[:1].upper()}{arms[1:]} {'has' if len(missing) == 1 else 'have'} no result"
        text = (
            f"{lacking if started and missing else 'No arm has a result'}, so there is no gain to take apart."
        )
    elif not started and queued:
        text = "The first points arrive when it is this run's turn."
    elif not started:
        text = "The first points arrive in a moment."
    else:
        text = f"The gain of dropout shows as soon as {' and '.join(missing)} {'has' if len(missing) == 1 else 'have'} trained."
    return {"parts": [{"text": text, "strong": False}], "note": ""}


def _rung(arm: str, steps: Mapping[int, np.ndarray], compared: int | None) -> dict[str, Any]:
    at = max(steps) if compared is None else compared
    seeds = steps[at]
    mean, lower, upper = summary("accuracy", seeds)
    values = [tidy(value) for value in seeds]
    return {
        "values": values,
        "mean": mean,
        "lower": lower,
        "upper": upper,
        "step": at,
        "level": at == compared,
    }


def effects(subject: Subject, means: Mapping[str, float]) -> dict[str, list[float | None]]:
    """Where the shaded areas lie: none → dropout-K and dropout-K → dropout, when dropout gains and each is positive."""
    k = subject.largest_k
    if k is None or not {"none", "dropout", f"dropout-{k}"} <= means.keys():
        return {}
    none, middle, dropout = means["none"], means[f"dropout-{k}"], means["dropout"]
    sign = -1 if score_of(subject.task).less_is_better else 1
    areas = {"explicit": (none, middle), "implicit": (middle, dropout)}
    return {
        name: [tidy(start), tidy(end)]
        for name, (start, end) in areas.items()
        if sign * (dropout - none) > 0 and sign * (end - start) > 0
    }
