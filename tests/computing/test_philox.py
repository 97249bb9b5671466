"""Words drawn by tensor operations are those of numpy's Philox, bit for bit, on every device that is here."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropviz.masks import Draws
from dropviz.philox import Philox, Words, upper
from dropviz.streams import BitStreams, key
from dropviz.training import Minibatches

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
every_device = pytest.mark.parametrize("device", DEVICES)

WORDS = st.integers(0, 2**64 - 1)
CARRIES = [2**32, 2**63, 2**64, 3 * 2**64, 2**96, 2**127]
counts = st.one_of(
    st.integers(0, 2**128 - 2**20),
    st.builds(lambda carry, before: carry - before, st.sampled_from(CARRIES), st.integers(0, 40)),
)


def numpys(of: tuple[int, int], count: int, words: int) -> np.ndarray:
    """The same by numpy."""
    stream = np.random.Philox(key=np.array(of, dtype=np.uint64), counter=count)
    return stream.random_raw(words)


def assert_those_of_numpy(keys: list[tuple[int, int]], count: int, blocks: int, device: str) -> None:
    drawn = Philox(keys, device).words(count, blocks).cpu().numpy().view(np.uint64)
    expected = np.stack([numpys(of, count, 4 * blocks) for of in keys])
    np.testing.assert_array_equal(drawn, expected)


@settings(deadline=None)
@given(
    keys=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4), count=counts, blocks=st.integers(1, 50)
)
def test_words_of_any_key_at_any_count_are_numpys(
    keys: list[tuple[int, int]], count: int, blocks: int
) -> None:
    assert_those_of_numpy(keys, count, blocks, "cpu")


@every_device
@pytest.mark.parametrize("count", [0, *(carry - 20 for carry in CARRIES)])
def test_words_across_a_carry_of_the_counter_are_numpys(count: int, device: str) -> None:
    assert_those_of_numpy([(0, 0), (7, 2**63), (2**64 - 1, 2**64 - 1)], count, 300, device)


@settings(deadline=None)
@given(
    seeds=st.lists(st.integers(0, 2**31 + 1000), min_size=1, max_size=3),
    purposes=st.lists(st.text(max_size=12), min_size=1, max_size=3),
    words=st.integers(1, 30),
    step=st.integers(0, 2**40),
    ahead=st.integers(1, 6),
)
def test_a_buffer_of_addresses_is_the_hosts(
    seeds: list[int], purposes: list[str], words: int, step: int, ahead: int
) -> None:
    streams = BitStreams(seeds, purposes, words, ahead=ahead)
    there = Words(streams, "cpu")
    there.philox = Philox(streams.keys, "cpu")
    assert torch.equal(there.buffer(step), Words(streams, "cpu").buffer(step))


@settings(deadline=None)
@given(WORDS)
def test_the_upper_half_of_a_word_is_not_negative(word: int) -> None:
    signed = torch.tensor([word]).view(torch.int64) if word < 2**63 else torch.tensor([word - 2**64])
    assert upper(signed).item() == word >> 32


def test_the_numbers_of_an_address_never_change() -> None:
    _, drawn = BitStreams([3], ["train/mask/hidden1/0", "train/minibatch"], 1, ahead=1).buffer(2)
    assert drawn[0, 0, :, 0].tolist() == [8306821926728121253, 5624498284975486436]


def test_a_hash_is_rounded_as_numpy_rounds_it_beside_a_seed() -> None:
    hashes = set()
    for replica in range(16):
        digest = blake2b(f"train/mask/hidden1/{replica}".encode(), digest_size=8).digest()
        pair = (5, int.from_bytes(digest, "little"))
        hashes.add(pair[1] < 2**63)
        assert key(5, f"train/mask/hidden1/{replica}") == tuple(np.asarray(pair).astype(np.uint64).tolist())
    assert hashes == {True, False}


# What is made of them.


@needs_cuda
def test_a_gpu_draws_the_masks_of_the_cpu() -> None:
    shapes = {"hidden1": (6, 5), "hidden2": (6, 3)}
    here, there = (Draws((0, 7), shapes, 0.3, device=device) for device in ("cpu", "cuda"))
    for step in (0, 1, 300):
        here.step = there.step = step
        for one, other in zip(here.masks(3).values(), there.masks(3).values(), strict=True):
            assert other.is_cuda
            assert torch.equal(other.cpu(), one)
        assert torch.equal(there.output_signs(4).cpu(), here.output_signs(4))
        assert torch.equal(there.uniforms(4).cpu(), here.uniforms(4))
        for one, other in zip(here.gaussian_masks(1).values(), there.gaussian_masks(1).values(), strict=True):
            torch.testing.assert_close(other.cpu(), one)


@needs_cuda
def test_a_gpu_draws_the_minibatches_of_the_cpu() -> None:
    here, there = (Minibatches([4, 9], 1000, 6, device) for device in ("cpu", "cuda"))
    for step in (0, 3, 300):
        assert torch.equal(there.at(step).cpu(), here.at(step))
