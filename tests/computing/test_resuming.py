"""A run that stops anywhere and goes on ends as if it had not stopped, to the last bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.computing.test_training import OPTIMIZERS, assert_same, block, curves, run


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("points", [0, 1, 2, 4])
def test_a_resumed_run_ends_as_if_it_had_not_stopped(points: int, optimizer: str, schedule: str) -> None:
    settings = (optimizer, "observe.statistics=5", "train.weight_decay=0.01", f"train.schedule={schedule}")
    arm = "dropout-2+mask-noise"
    whole = block(*settings, arm=arm)
    expected = run(whole)
    stopped = block(*settings, arm=arm)
    found = [record for _ in range(points) for record in stopped.advance()]
    resumed = block(*settings, arm=arm)
    resumed.load_state(stopped.state())
    while not resumed.finished:
        found += resumed.advance()
    assert_same(curves(found), expected)
    assert all(torch.equal(value, resumed.parameters[name]) for name, value in whole.parameters.items())


@pytest.mark.parametrize("arm", ["dropout", "explicit"])
def test_a_run_that_returns_between_evaluations_and_resumes_there_has_the_same_curves(arm: str) -> None:
    settings = ("train.steps=300", "observe.evaluations=1", "observe.statistics=2")
    expected = run(block(*settings, arm=arm))
    found, training = [], block(*settings, arm=arm)
    while not training.finished:
        found += training.advance(seconds=0)  # a few steps at a time
        state, training = training.state(), block(*settings, arm=arm)
        training.load_state(state)
    assert_same(curves(found), expected)


def test_a_run_resumes_in_the_middle_of_what_was_drawn_ahead() -> None:
    settings = ("train.steps=600", "observe.evaluations=3", "observe.statistics=0")
    whole, stopped, resumed = (block(*settings) for _ in range(3))
    stopped.advance()
    stopped.advance()
    resumed.load_state(stopped.state())
    run(whole)
    run(resumed)
    assert all(torch.equal(value, resumed.parameters[name]) for name, value in whole.parameters.items())


def test_a_run_that_is_resumed_at_its_end_is_finished() -> None:
    whole, resumed = block(), block()
    run(whole)
    resumed.load_state(whole.state())
    assert resumed.finished


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_saved_state_does_not_change_while_the_run_goes_on(optimizer: str) -> None:
    training = block(optimizer)
    training.advance()
    training.advance()
    state = training.state()
    kept = {name: value.clone() for name, value in state.items()}
    training.advance()
    assert [name for name, value in state.items() if not torch.equal(value, kept[name])] == []


def test_a_state_is_named_tensors_on_the_cpu() -> None:
    training = block("train.optimizer=adam", "observe.statistics=5")
    training.advance()
    training.advance()
    state = training.state()
    assert {name.partition("/")[0] for name in state} == {
        "parameter",
        "optimizer",
        "memory",
        "evaluation",
        "step",
        "evaluated_at",
        "stretch",
    }
    assert all(isinstance(value, Tensor) and value.is_contiguous() for value in state.values())
    assert {value.device.type for value in state.values()} == {"cpu"}
