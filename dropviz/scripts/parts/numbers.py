"""Random numbers by their address: a seed, a purpose and a step. The same words as ``dropviz.streams`` and ``masks`` draw."""

import hashlib

import numpy as np
import torch


def key(purpose, seed):
    """The key of a Philox 4×64 stream: the seed and a hash of what the numbers are for."""
    digest = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    return np.array([seed, digest if digest < 2**63 else int(float(digest))], dtype=np.uint64)


def generator(purpose, seed=SEED):
    """A numpy generator, for what is drawn once."""
    return np.random.Generator(np.random.Philox(key=key(purpose, seed)))


def words(purpose, count, step):
    """So many random 64-bit words of a step; Philox counts blocks of four, and each step has blocks of its own."""
    blocks = -(-count // 4)
    return np.random.Philox(key=key(purpose, SEED), counter=step * blocks).random_raw(4 * blocks)[:count]


def fractions(purpose, shape, step):
    """Random 16-bit numbers, uniform from -32,768 to 32,767: four out of a word."""
    size = int(np.prod(shape))
    drawn = words(purpose, -(-size // 4), step).view(np.int16)
    return torch.from_numpy(drawn[:size].reshape(shape))


def signs(purpose, shape, step):
    """±1, each with probability ½."""
    return torch.where(fractions(purpose, shape, step) < 0, -1.0, 1.0)


def uniforms(purpose, shape, step):
    """Numbers in (0, 1), float64, of 32 bits each."""
    high, low = fractions(purpose, (*shape, 2), step).double().add(2**15).unbind(-1)
    return (high * 2**16 + low + 0.5) / 2**32
