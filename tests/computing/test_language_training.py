"""Training on running text: segments in order, a state that is carried, whole splits evaluated, the best weights judged."""

from __future__ import annotations

from itertools import pairwise
from math import log

import numpy as np
import pytest
import torch
from torch import Tensor

from dropviz.experiment import EVALUATION_STREAMS, ExperimentSpec
from dropviz.masks import keep_all
from dropviz.optimizers import rate_factor
from dropviz.training import Block, Snapshot
from dropviz.training.feed import Places, Segments
from tests.computing.test_training import assert_same, curves, run

STREAMS, SEGMENT = 3, 5


def spec(*settings: str) -> ExperimentSpec:
    """A few steps of a small LSTM on a short text of ten symbols."""
    table = {
        "data": {"name": "markov", "symbols": 10, "train_tokens": 1000, "held_out_tokens": 205},
        "model": {"name": "lstm", "width": 6, "embedding": 4},
        "arms": ["none", "dropout"],
        "seeds": 2,
        "train": {"steps": 8, "batch_size": STREAMS, "learning_rate": 1.0},
        "language": {"segment": SEGMENT},
        "observe": {"evaluations": 4, "statistics": 0, "masks": 2},
    }
    return ExperimentSpec.from_table(table).with_settings(settings)


def block(*settings: str, arm: str = "dropout", seeds: tuple[int, ...] = (0, 1)) -> Block:
    return Block(spec(*settings), arm, seeds)


def segments(training: Block) -> Segments:
    assert isinstance(training.feed, Segments)
    return training.feed


# What a step reads.


def test_consecutive_steps_read_consecutive_tokens_of_every_stream() -> None:
    feed = segments(block())
    streams = feed.texts[1].train[:999].reshape(STREAMS, 333)
    for step in range(66):
        batch, at = feed.batch(step), step * SEGMENT
        assert batch.x[1].tolist() == streams[:, at : at + SEGMENT].tolist()
        assert batch.y[1].tolist() == streams[:, at + 1 : at + SEGMENT + 1].flatten().tolist()
        assert batch.starts == (step == 0)
    assert feed.batch(66).starts
    assert torch.equal(feed.batch(66).x, feed.batch(0).x)


def test_a_seed_reads_its_own_text_whatever_runs_beside_it() -> None:
    alone, beside = segments(block(seeds=(1,))), segments(block(seeds=(0, 1, 5)))
    assert torch.equal(alone.batch(7).x[0], beside.batch(7).x[1])
    assert not torch.equal(beside.batch(7).x[0], beside.batch(7).x[1])


def test_random_lengths_cover_the_text_in_order_and_are_the_same_for_all() -> None:
    places = Places(5000, 70, random=True)
    drawn = [places.at(step) for step in range(400)]
    assert [Places(5000, 70, random=True).at(step) for step in (399, 3)] == [drawn[399], drawn[3]]
    for (start, length), (following, _) in pairwise(drawn):
        assert following in (0, start + length)
        assert following or start + length >= 5000 - 1
    lengths = np.array([length for start, length in drawn if start + length < 5000])
    halved = lengths < 53
    assert 0.01 < halved.mean() < 0.12
    assert abs(lengths[~halved].mean() - 70) < 2
    assert 3 < lengths[~halved].std() < 7


def test_the_learning_rate_follows_the_length_where_that_is_asked_for() -> None:
    settings = ("language.random_lengths=true", "language.segment=30", "language.scale_rate=true")
    plain, scaled = block(*settings[:2], arm="none"), block(*settings, arm="none")
    for training in (plain, scaled):
        training.before = {name: value.detach().clone() for name, value in training.parameters.items()}
        training.update()
    share = segments(plain).batch(0).share
    assert share != 1
    for name, value in plain.parameters.items():
        moved, less = (t.parameters[name].detach() - t.before[name] for t in (plain, scaled))
        torch.testing.assert_close(less, share * moved, rtol=1e-4, atol=1e-7)
        assert value.shape == moved.shape


def test_a_text_that_is_too_short_for_its_streams_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1,000 tokens.*500 streams.*fewer streams"):
        block("train.batch_size=500")


# What is carried.


def bare_states(training: Block, steps: int) -> dict[str, Tensor]:
    """The state after so many segments of the unchanging network, read in one go."""
    batches = [segments(training).batch(step) for step in range(steps)]
    carried: dict[str, Tensor] = {}
    training.stacked.model.forward(
        training.parameters, torch.cat([batch.x for batch in batches], dim=2), keep_all, carried
    )
    return carried


STILL = ("train.learning_rate=1e-12",)


@pytest.mark.parametrize("model", ["lstm", "gru"])
def test_the_state_runs_on_from_segment_to_segment(model: str) -> None:
    training = block(*STILL, f"model.name={model}", arm="none")
    for _ in range(4):
        training.update()
    (found,) = training.stacked.carried.values()
    expected = bare_states(training, 4)
    assert found.keys() == expected.keys() != set()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.detach())
        assert not found[name].requires_grad


def test_the_state_starts_from_nothing_where_the_text_starts_anew() -> None:
    training = block(*STILL, arm="none")
    for _ in range(67):  # one more than there are segments
        training.update()
    (found,) = training.stacked.carried.values()
    torch.testing.assert_close(found["h1"], bare_states(training, 1)["h1"].detach())


def test_each_replica_has_a_state_of_its_own_and_the_plain_pass_has_one_too() -> None:
    training = block(*STILL, arm="dropout-4+analytic-noise", seeds=(2,))
    for _ in range(3):
        training.update()
    plain, masked = training.stacked.carried[0], training.stacked.carried[4]
    torch.testing.assert_close(plain["c1"], bare_states(training, 3)["c1"].detach())
    replicas = masked["h1"].unflatten(1, (4, STREAMS))[0]
    assert all((replicas[one] != replicas[other]).any() for one in range(4) for other in range(one))


def test_a_replicas_state_is_the_one_of_a_run_with_its_masks_alone() -> None:
    """Replica 0 of two draws the masks that the single one of dropout draws."""
    one, two = (block(*STILL, arm=arm, seeds=(2,)) for arm in ("dropout", "dropout-2"))
    for _ in range(3):
        one.update()
        two.update()
    for name, value in one.stacked.carried[1].items():
        torch.testing.assert_close(two.stacked.carried[2][name][:, :STREAMS], value)


# Evaluation.


def slow_loss(training: Block, text: np.ndarray, seed: int) -> tuple[float, int]:
    """Token by token over each of the ten streams, and over what is left, with a segment before it."""
    own = {name: value[seed : seed + 1].detach() for name, value in training.parameters.items()}
    length = (len(text) - 1) // EVALUATION_STREAMS
    parts = [(at * length, (at + 1) * length, 0) for at in range(EVALUATION_STREAMS)]
    left = len(text) - 1 - EVALUATION_STREAMS * length
    if left:
        back = max(left, SEGMENT)
        parts.append((len(text) - 1 - back, len(text) - 1, back - left))
    total, count = 0.0, 0
    for first, last, skipped in parts:
        carried: dict[str, Tensor] = {}
        for at in range(first, last):
            z = training.stacked.model.forward(
                own, torch.tensor(int(text[at])).view(1, 1, 1), keep_all, carried
            )
            if at - first >= skipped:
                total -= z.log_softmax(-1)[0, 0, int(text[at + 1])].item()
                count += 1
    return total / count, count


@pytest.mark.parametrize("tokens", [201, 205, 210])
def test_every_token_of_a_split_but_the_first_is_predicted_once(tokens: int) -> None:
    training = block(f"data.held_out_tokens={tokens}", arm="none")
    found = curves(training.advance())
    for seed in (0, 1):
        expected, count = slow_loss(training, segments(training).texts[seed].validation, seed)
        assert count == tokens - 1
        assert found["validation/loss"][0][seed] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(found["validation/perplexity"][0], np.exp(found["validation/loss"][0]))


def test_known_optimum_and_unigram_stand_beside_every_evaluation() -> None:
    training = block()
    found = run(training)
    data = training.spec.data
    for index, seed in enumerate((0, 1)):
        for name, value in data.references(seed).items():
            assert list(found[name]) == list(found["validation/loss"])
            assert all(values[index] == pytest.approx(value) for values in found[name].values())
            perplexity = found[name.replace("loss", "perplexity")][0][index]
            assert log(perplexity) == pytest.approx(value)
    assert (found["optimum/loss"][0] < found["unigram/loss"][0]).all()


def test_a_text_is_generated_that_begins_like_the_validation_text() -> None:
    training = block()
    points = [point for _ in range(3) for point in training.advance()]
    texts = [(point.name, bytes(point.array).decode()) for point in points if isinstance(point, Snapshot)]
    samples = [text for name, text in texts if name == "sample"]
    text = segments(training).texts[0]
    begun = text.vocabulary.decode(text.validation[:8])
    assert len(samples) == 3
    assert all(sample.startswith(begun) and len(sample.split()) == 68 for sample in samples)
    assert len(set(samples)) == 3
    assert [text for name, text in texts if name == "prompt"] == [begun] * 3


def test_observing_does_not_change_training() -> None:
    seen, unseen = block("observe.statistics=8", "observe.evaluations=8"), block("observe.evaluations=1")
    run(seen)
    run(unseen)
    assert all(torch.equal(value, unseen.parameters[name]) for name, value in seen.parameters.items())


# The best weights.

OVERSHOOTING = ("train.learning_rate=60", "train.steps=24", "observe.evaluations=24", "train.clip=1")


def test_the_test_split_is_judged_by_each_seeds_best_weights() -> None:
    training = block("train.keep_best=true", *OVERSHOOTING, arm="none")
    losses, kept = {}, {}
    found: list[object] = []
    while not training.finished:
        points = training.advance()
        found += points
        at = curves(points)
        if "validation/loss" in at:
            losses[training.step] = at["validation/loss"][training.step]
            kept[training.step] = {n: v.detach().clone() for n, v in training.parameters.items()}
    best = np.argmin(np.stack(list(losses.values())), axis=0)
    steps = [list(losses)[index] for index in best]
    assert max(steps) < 24
    for seed, step in enumerate(steps):
        training.stacked.parameters = kept[step]
        z = curves(found)["test/loss"][24][seed]  # type: ignore[arg-type]
        assert training.evaluation._losses("test")[0][seed].item() == pytest.approx(z, rel=1e-6)


def test_without_that_the_last_weights_are_judged() -> None:
    training = block(*OVERSHOOTING, arm="none")
    found = run(training)
    expected = training.evaluation._losses("test")[0]
    np.testing.assert_allclose(found["test/loss"][24], expected.numpy(), rtol=1e-6)


def test_a_seed_stops_after_so_many_evaluations_without_a_lower_loss() -> None:
    training = block("train.patience=3", *OVERSHOOTING, arm="none", seeds=(0,))
    found = run(training)
    losses = [values[0] for values in found["validation/loss"].values()]
    assert training.step < 24
    assert training.finished
    assert min(losses[:-3]) <= min(losses[-3:])
    assert all(min(losses[: end - 3]) > min(losses[end - 3 : end]) for end in range(4, len(losses)))
    assert list(found["test/loss"]) == [training.step]


# Resuming.


@pytest.mark.parametrize("points", [1, 2, 3])
@pytest.mark.parametrize("arm", ["dropout-2+analytic-noise", "explicit"])
def test_a_resumed_run_ends_as_if_it_had_not_stopped(points: int, arm: str) -> None:
    settings = ("language.random_lengths=true", "train.keep_best=true", "observe.statistics=3")
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


def test_a_seeds_curves_do_not_depend_on_its_neighbours() -> None:
    alone, beside = run(block(seeds=(7,))), run(block(seeds=(3, 7)))
    for name, curve in alone.items():
        for step, values in curve.items():
            np.testing.assert_allclose(beside[name][step][1:], values, rtol=1e-4, err_msg=name)


def test_the_rate_factor_is_untouched_where_lengths_do_not_vary() -> None:
    training = block(arm="none")
    assert {segments(training).batch(step).share for step in range(5)} == {1.0}
    assert rate_factor(training.spec.train, 3) == 1.0


def test_masks_of_former_lengths_are_not_kept() -> None:
    training = block("language.random_lengths=true", "language.segment=20", "train.steps=40")
    run(training)
    assert len({segments(training).batch(step).x.shape for step in range(40)}) > 5
    assert len(training._draws) == 1
