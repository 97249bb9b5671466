"""How much one program holds: seeds are stacked as long as a step stays small."""

from __future__ import annotations

import pytest

from dropviz.budget import Budget, activations, check_budget, seeds_together
from dropviz.experiment import SpecError, preset
from dropviz.models import registry
from tests.computing.tasks import fits
from tests.computing.tiny import experiment


def test_the_activations_of_a_step_are_masks_times_minibatch_times_units() -> None:
    asked = experiment()  # two features, eight units, two classes, four rows
    assert activations(asked, "none") == 4 * 12
    assert activations(asked, "dropout-8+mask-noise") == 10 * 4 * 12


@pytest.mark.parametrize("name", registry.members)
def test_every_model_counts_its_units(name: str) -> None:
    model = registry.read(name)
    for task in fits(model):
        assert model.units(task) >= task.inputs + task.outputs


@pytest.mark.parametrize("name", ["noisy-digits", "classroom"])
@pytest.mark.parametrize("arm", ["none", "dropout-8+mask-noise"])
def test_the_seeds_of_a_preset_are_stacked_sixteen_at_a_time(name: str, arm: str) -> None:
    assert seeds_together(preset(name), arm) == 16


def test_many_masks_of_a_large_minibatch_leave_room_for_fewer_seeds() -> None:
    large = preset("noisy-digits").with_settings(["train.batch_size=512", "model.widths=[512,512]"])
    one = activations(large, "dropout-32")
    assert 1 < seeds_together(large, "dropout-32") < 16
    assert seeds_together(large, "dropout-32") * one <= Budget().activations
    assert seeds_together(large, "dropout-256") == 1


def test_the_exact_estimator_is_refused_where_a_step_would_take_thousands_of_passes() -> None:
    text = preset("markov-lstm").with_settings(["surrogate.estimator=exact"])
    with pytest.raises(SpecError, match=r"140,000 backward passes.*choose another estimator than exact"):
        check_budget(text, Budget())
    check_budget(text.with_settings(["arms=['none','dropout','implicit']"]), Budget())
    check_budget(preset("noisy-digits").with_settings(["surrogate.estimator=exact"]), Budget())


def test_seeds_that_stop_early_train_one_by_one() -> None:
    spec = preset("noisy-digits")
    assert seeds_together(spec, "none") == 16
    assert seeds_together(spec.with_settings(["train.patience=3"]), "none") == 1
