"""Random streams: a draw depends on its address (seed, purpose, step) and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from dropviz.streams import BUFFERED_WORDS, MOST_STEPS, BitStreams, generator

SEEDS, PURPOSES = (0, 7, 2**31), ("a", "b")


def words_at(
    step: int, seeds: Sequence[int] = SEEDS, purposes: Sequence[str] = PURPOSES, words: int = 8
) -> np.ndarray:
    """The words of one step, drawn on their own: (S, P, words)."""
    _, drawn = BitStreams(seeds, purposes, words, ahead=1).buffer(step)
    return drawn[0]


def test_a_buffer_has_the_steps_it_says_and_begins_where_it_says() -> None:
    first, drawn = BitStreams(SEEDS, PURPOSES, 8, ahead=5).buffer(3)
    assert first == 3
    assert drawn.shape == (5, 3, 2, 8)


def test_words_are_rounded_up_to_whole_counts() -> None:
    assert [BitStreams([0], ["a"], words).words for words in (1, 4, 5, 9)] == [4, 4, 8, 12]


@pytest.mark.parametrize("start", [0, 1, 37])
def test_a_step_draws_the_same_wherever_its_buffer_begins(start: int) -> None:
    _, drawn = BitStreams(SEEDS, PURPOSES, 5).buffer(start)
    for offset in (0, 1, 100):
        np.testing.assert_array_equal(drawn[offset], words_at(start + offset, words=5))


def test_buffers_follow_one_another_without_a_seam() -> None:
    streams = BitStreams(SEEDS, PURPOSES, 8, ahead=10)
    in_turn = np.concatenate([streams.buffer(step)[1] for step in (0, 10, 20)])
    whole = BitStreams(SEEDS, PURPOSES, 8, ahead=30).buffer(0)[1]
    np.testing.assert_array_equal(in_turn, whole)


def test_going_back_draws_the_same_again() -> None:
    streams = BitStreams(SEEDS, PURPOSES, 8, ahead=10)
    before = streams.buffer(10)[1]
    streams.buffer(50)
    np.testing.assert_array_equal(streams.buffer(10)[1], before)


def test_a_seed_draws_the_same_whatever_seeds_run_beside_it() -> None:
    beside = words_at(4, seeds=(3, 7, 5, 1))[1]
    np.testing.assert_array_equal(beside, words_at(4, seeds=(7,))[0])


def test_a_purpose_draws_the_same_whatever_purposes_stand_beside_it() -> None:
    beside = words_at(4, purposes=("x", "b", "y"))[:, 1]
    np.testing.assert_array_equal(beside, words_at(4, purposes=("b",))[:, 0])


def test_no_word_comes_twice_over_seeds_purposes_and_steps() -> None:
    _, drawn = BitStreams(range(20), ["a", "b", "c"], 8, ahead=50).buffer(0)
    assert len(np.unique(drawn)) == drawn.size


def test_streams_of_different_addresses_share_no_bits_but_by_chance() -> None:
    _, drawn = BitStreams((0, 1), ("a", "b"), 400, ahead=1).buffer(0)
    streams = np.unpackbits(drawn.reshape(4, -1).view(np.uint8), axis=1)
    bits = streams.shape[1]
    for one, other in combinations(streams, 2):
        assert abs((one == other).mean() - 0.5) < 5 * 0.5 / np.sqrt(bits)


def test_every_bit_is_set_half_of_the_time() -> None:
    _, drawn = BitStreams([0], ["a"], 20_000, ahead=1).buffer(0)
    bits = np.unpackbits(drawn.reshape(-1, 1).view(np.uint8), axis=1).mean(axis=0)
    assert bits.shape == (64,)
    assert np.abs(bits - 0.5).max() < 5 * 0.5 / np.sqrt(20_000)


def test_buffers_stay_small_however_many_streams_there_are() -> None:
    for seeds, words in ((1, 4), (64, 4096), (256, 100_000)):
        streams = BitStreams(range(seeds), ["a"], words)
        assert 1 <= streams.steps <= MOST_STEPS
        assert streams.steps == 1 or streams.steps * streams.words * seeds <= BUFFERED_WORDS


def test_a_generator_depends_on_its_seed_and_its_purpose() -> None:
    draws = {
        (seed, purpose): generator(seed, purpose).random(4).tobytes()
        for seed in (0, 1)
        for purpose in ("data/split", "data/label-noise")
    }
    assert len(set(draws.values())) == 4
    assert generator(1, "data/split").random(4).tobytes() == draws[1, "data/split"]
