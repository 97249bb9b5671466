"""The choices of the analytic arms: which results they change, and what ``auto`` comes to."""

from __future__ import annotations

import pytest

from dropviz.experiment import preset, result_key, surrogate_choices
from dropviz.strategies import examples
from tests.computing.tiny import experiment

PENALIZED = {"explicit", "explicit+implicit"}


@pytest.mark.parametrize(
    ("setting", "arms"),
    [
        (
            "surrogate.explicit=2.0",
            {*PENALIZED, "explicit-identity", "explicit-loss-jacobian", "explicit-argmax"},
        ),
        ("surrogate.estimator=root-hessian", {*PENALIZED, "explicit-identity"}),
        ("surrogate.hessian=constant", PENALIZED),
        ("surrogate.implicit=2.0", {"implicit", "explicit+implicit"}),
        ("surrogate.shared_tangent=true", {"explicit+implicit"}),
        ("surrogate.l2=0.5", {"l2"}),
        ("surrogate.samples=4", set()),  # of the exact value, which auto comes to here: all the same
        ("surrogate.estimator=exact", set()),  # what auto comes to for so small a net
    ],
)
def test_a_choice_of_the_surrogate_changes_the_keys_of_the_arms_in_which_it_has_a_say(
    setting: str, arms: set[str]
) -> None:
    changed = experiment().with_settings([setting])

    def differ(arm: str) -> bool:
        return result_key(changed, arm, 0, "cpu") != result_key(experiment(), arm, 0, "cpu")

    assert {arm for arm in examples() if differ(arm)} == arms


@pytest.mark.parametrize(
    ("settings", "estimator"),
    [
        ([], "exact"),
        (["train.batch_size=4096", "model.widths=[512]"], "auto"),
        (["surrogate.estimator=forward"], "forward"),
    ],
)
def test_auto_is_exact_where_a_step_stays_affordable(settings: list[str], estimator: str) -> None:
    assert surrogate_choices(preset("noisy-digits").with_settings(settings)).estimator == estimator
