"""Arms that switch: one arm up to a step, another one from there on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dropviz.budget import activations, exact_passes
from dropviz.choices import SpecError
from dropviz.duration import cost_key
from dropviz.experiment import preset, result_key
from dropviz.strategies import label, largest_k, strategy
from dropviz.training import Block
from tests.computing import test_language_training as language
from tests.computing.test_training import assert_same, block, curves, run
from tests.computing.tiny import experiment

FORK = "dropout@5:explicit+implicit"
CHAIN = "explicit@4:dropout-2+mask-noise@8:none"


# Names.


@pytest.mark.parametrize("name", [FORK, CHAIN, "dropout-8+analytic-noise@1:gaussian"])
def test_a_name_round_trips(name: str) -> None:
    assert strategy(name).name == name
    assert strategy(strategy(name).name) == strategy(name)


def test_spellings_of_its_arms_and_its_step_have_one_canonical_name() -> None:
    assert strategy("dropout-1@007:dropout-08").name == "dropout@7:dropout-8"


def test_a_person_reads_what_it_does_in_order() -> None:
    assert label(FORK) == "dropout until 5, then explicit+implicit"
    assert label(CHAIN) == "explicit until 4, then dropout-2+mask-noise until 8, then none"
    assert label("dropout@1500:none") == "dropout until 1,500, then none"
    assert label("dropout-8") == "dropout-8"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("dropout@0:none", "switches at step '0': choose one from 1 to one below train.steps."),
        ("dropout@99999999:none", "switches at step '99999999': choose one from 1 to "),
        ("dropout@5:dropout-1", "goes on as dropout, so nothing changes: name another arm after step 5."),
        ("dropout@5:dropout@9:none", "goes on as dropout, so nothing changes"),
        ("dropout@5:none@5:explicit", "at step 5 and then at 5: write the steps in rising order."),
        ("dropout@5:drop", "'drop' is not an arm"),
        ("drop@5:none", "'drop' is not an arm"),
        ("dropout@x:none", "or dropout@500:explicit to go on as another one"),
        ("dropout@5:", "is not an arm"),
        (f"none@1:{'dropout@2:none@3:' * 2000}none", "switches more than 8 times: leave some out."),
    ],
)
def test_what_is_no_switch_is_refused_in_one_sentence(name: str, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        strategy(name)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("steps", [1, 5])
def test_a_switch_that_a_run_does_not_reach_is_refused(steps: int) -> None:
    with pytest.raises(SpecError, match=rf"switches at step 5, which train.steps = {steps} does not reach: "):
        experiment(f"train.steps={steps}", f'arms=["{FORK}"]')
    assert experiment("train.steps=6", f'arms=["{FORK}"]').arms == (FORK,)


def test_an_arm_that_does_not_fit_the_data_is_refused_before_and_after_the_switch() -> None:
    for arm in ("explicit-argmax@5:none", "none@5:explicit-argmax"):
        with pytest.raises(SpecError, match="no most likely label"):
            preset("noisy-digits").with_settings(["data=diabetes", "model=mlp", f'arms=["{arm}"]'])


# Training.


@pytest.mark.parametrize("optimizer", ["train.momentum=0.9", "train.optimizer=adam"])
@pytest.mark.parametrize("arm", [FORK, CHAIN])
def test_every_step_is_one_of_the_arm_that_it_follows(arm: str, optimizer: str) -> None:
    forked, twin = block(optimizer, arm=arm), block(optimizer, arm=strategy(arm).at(0).name)
    for step in range(12):
        twin.strategy = strategy(strategy(arm).at(step).name)
        forked.update()
        twin.update()
        for name, value in twin.parameters.items():
            assert torch.equal(forked.parameters[name], value), (step, name)


def test_up_to_the_switch_it_is_the_first_arm_to_the_bit() -> None:
    settings = ("observe.statistics=5", "train.steps=12", "observe.evaluations=4")
    forked, trunk = run(block(*settings, arm="dropout@9:implicit")), run(block(*settings, arm="dropout"))
    assert forked.keys() == trunk.keys()
    for name, curve in trunk.items():
        for step in (step for step in curve if step <= 9):
            assert forked[name][step].tobytes() == curve[step].tobytes(), (name, step)
    assert forked["train/loss"][12].tobytes() != trunk["train/loss"][12].tobytes()


@pytest.mark.parametrize("saved_at", [3, 5, 6, 9])
@pytest.mark.parametrize("arm", [FORK, CHAIN])
def test_a_run_resumes_across_a_switch_to_the_bit(arm: str, saved_at: int) -> None:
    settings = ("train.optimizer=adam", "observe.statistics=5", "train.clip=0.5")
    whole = block(*settings, arm=arm)
    expected = run(whole)
    stopped, resumed = block(*settings, arm=arm), block(*settings, arm=arm)
    found = []
    while stopped.step < saved_at:
        found += stopped.advance()
    resumed.load_state(stopped.state())
    while not resumed.finished:
        found += resumed.advance()
    assert_same(curves(found), expected)
    assert all(torch.equal(value, resumed.parameters[name]) for name, value in whole.parameters.items())


def test_a_run_resumes_at_any_step_between_two_points() -> None:
    settings = ("train.steps=200", "observe.evaluations=1", "observe.statistics=2")
    arm = "explicit@70:dropout"
    expected = run(block(*settings, arm=arm))
    found, training = [], block(*settings, arm=arm)
    while not training.finished:
        found += training.advance(seconds=0)
        state, training = training.state(), block(*settings, arm=arm)
        training.load_state(state)
    assert_same(curves(found), expected)


def test_a_seed_does_not_depend_on_its_neighbours() -> None:
    alone, beside = (run(block(arm=FORK, seeds=seeds)) for seeds in ((7,), (3, 7)))
    for step, values in alone["validation/loss"].items():
        np.testing.assert_allclose(beside["validation/loss"][step][1:], values, rtol=1e-4)


def test_the_penalty_is_0_in_the_steps_that_have_none() -> None:
    settings = ("train.steps=12", "observe.evaluations=3")
    forked, explicit = run(block(*settings, arm="explicit@5:dropout")), block(*settings, arm="explicit")
    terms = [explicit.update().explicit for _ in range(5)]
    penalty = {step: values.tolist() for step, values in forked["train/penalty"].items()}
    assert penalty[4] == pytest.approx(torch.stack(terms[:4]).mean(0).tolist())
    assert penalty[8] == pytest.approx((terms[4] / 4).tolist())
    assert penalty[12] == [0, 0]


def test_statistics_are_of_the_arm_that_follows() -> None:
    settings = ("observe.statistics=5",)
    forked, twins = run(block(*settings, arm="dropout-8@6:none")), {}
    for arm in ("dropout-8", "none"):
        twins[arm] = run(block(*settings, arm=arm))
    assert forked["noise/mask"][3].tobytes() == twins["dropout-8"]["noise/mask"][3].tobytes()
    whole = run(block(*settings, arm="dropout-8@6:dropout"))["noise/mask"][6]
    np.testing.assert_allclose(whole, 8 * twins["dropout-8"]["noise/mask"][6], rtol=1e-5)


# Text: the state that is carried.


@pytest.mark.parametrize(
    "model", [["lstm"], ["qrnn"], ["transformer", "model.relative=true", "model.memory=7", "model.layers=1"]]
)
@pytest.mark.parametrize("arm", ["dropout-2@3:explicit+implicit", "none@3:dropout-2", "dropout@3:dropout-2"])
def test_the_next_arm_goes_on_with_the_state_of_the_first_replica(arm: str, model: list[str]) -> None:
    training = language.block(f"model={model[0]}", *model[1:], "train.steps=6", arm=arm)
    for _ in range(3):
        training.update()
    (kind,) = training.stacked.carried
    former = {name: value.clone() for name, value in training.stacked.carried[kind].items()}
    needed = 2 if arm.endswith("dropout-2") else 0
    assert former
    for name, value in training.stacked._past(needed).items():
        assert value.shape[1] == language.STREAMS * max(1, needed)
        for part in value.chunk(max(1, needed), dim=1):
            assert torch.equal(part, former[name][:, : language.STREAMS])
    training.update()
    assert set(training.stacked.carried) == {needed}


def test_a_text_resumes_across_a_switch_to_the_bit() -> None:
    arm = "dropout-2@4:explicit+implicit"
    whole = language.block(arm=arm)
    expected = run(whole)
    for points in (2, 3, 4):
        stopped, resumed = language.block(arm=arm), language.block(arm=arm)
        found = [record for _ in range(points) for record in stopped.advance()]
        resumed.load_state(stopped.state())
        while not resumed.finished:
            found += resumed.advance()
        assert_same(curves(found), expected)


# What else reads an arm.


def test_its_key_covers_the_choices_of_both_arms() -> None:
    def key(*settings: str, arm: str = FORK) -> str:
        return result_key(experiment(*settings), arm, 0, "cpu")

    assert key("surrogate.implicit=2.0") != key() != key("surrogate.explicit=2.0")
    assert key("surrogate.l2=0.5") == key()
    assert key(arm="l2@5:none") != key("surrogate.l2=0.5", arm="l2@5:none")
    assert len({key(arm=arm) for arm in ("dropout", "explicit+implicit", FORK, FORK.replace("5", "6"))}) == 4


def test_the_budget_counts_the_dearer_of_its_arms() -> None:
    spec = preset("noisy-digits")
    for arm in ("none@500:dropout-8", "dropout-8@500:none"):
        assert activations(spec, arm) == activations(spec, "dropout-8")
    assert exact_passes(spec.with_settings(['arms=["none@500:explicit"]'])) > 0
    assert exact_passes(spec.with_settings(['arms=["none@500:implicit"]'])) == 0


def test_the_time_of_a_run_depends_on_where_it_switches() -> None:
    one, other = (preset("noisy-digits").with_settings([f"train.steps={n}"]) for n in (1000, 2000))
    assert cost_key(one) == cost_key(other)
    forks = [spec.with_settings(['arms=["dropout@500:explicit"]']) for spec in (one, other)]
    assert cost_key(forks[0]) != cost_key(forks[1])


def test_the_headline_is_not_read_from_it() -> None:
    assert largest_k(["dropout-16@5:none", "dropout-8"]) == 8


def test_a_block_trains_it_like_any_other() -> None:
    training = Block(experiment("train.steps=12", f'arms=["{CHAIN}"]'), CHAIN, [0])
    assert np.isfinite(run(training)["test/loss"][12]).all()
