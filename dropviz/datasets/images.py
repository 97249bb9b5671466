"""What the image sets out of files share: the idx format, damaged files, and splits that keep the official test set."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np

from dropviz.choices import SpecError
from dropviz.datasets.dataset import Splits, redraw_labels
from dropviz.streams import generator

VALIDATION_IMAGES = 5000  # taken from the official training images
IDX_OF_BYTES = 0x08  # the third byte of an idx file


@dataclass(frozen=True, kw_only=True)
class Images:
    """The two official splits: ``x`` (images, channels, height, width), ``y`` class numbers (images,) int64.

    ``x_train`` stays uint8, for only some of it is used; ``x_test`` is float32 in 0..1 and the same array for all
    seeds.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def of_bytes(x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> Images:
    """Images out of pixels 0–255 and class numbers, all uint8."""
    return Images(
        x_train=x_train,
        y_train=y_train.astype(np.int64),
        x_test=_scaled(x_test),
        y_test=y_test.astype(np.int64),
    )


def split_images(images: Images, *, train_size: int, label_noise: float, classes: int, seed: int) -> Splits:
    """Training and validation images drawn from the official training ones by the seed; the test set is the official one.

    Only training labels are redrawn, each with probability ``label_noise``; see ``redraw_labels``.
    """
    order = generator(seed, "data/split").permutation(len(images.x_train))
    train, validation = order[:train_size], order[train_size : train_size + VALIDATION_IMAGES]
    labels = redraw_labels(images.y_train[train], probability=label_noise, classes=classes, seed=seed)
    return Splits(
        x_train=_scaled(images.x_train[train]),
        y_train=labels,
        x_validation=_scaled(images.x_train[validation]),
        y_validation=images.y_train[validation],
        x_test=images.x_test,
        y_test=images.y_test,
    )


def _scaled(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 255


@cache
def read_idx_files(paths: tuple[Path, ...], hashes: tuple[str, ...] = ()) -> Images:
    """Images out of four idx files, with or without gzip: training images and labels, test images and labels.

    Args:
        paths: The four files.
        hashes: SHA-256 of what they hold, without gzip, where that is to be checked.

    Raises:
        SpecError: One of them is damaged or not the expected one.
    """
    arrays = []
    for number, path in enumerate(paths):
        with whole(path):
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            if hashes and (found := sha256(content).hexdigest()) != hashes[number]:
                raise ValueError(f"the SHA-256 of what it holds is {found}, expected is {hashes[number]}")
            arrays.append(read_idx(content))
    x_train, y_train, x_test, y_test = arrays
    return of_bytes(x_train[:, None], y_train, x_test[:, None], y_test)


def read_idx(content: bytes) -> np.ndarray:
    """An array of bytes in the idx format of the MNIST database.

    Two zero bytes, a type, the number of axes, the length of each as a big-endian 32-bit number; then the values, the
    last axis running fastest.

    Raises:
        ValueError: It is not of that form.
    """
    axes = content[3] if len(content) > 3 else 0
    start = 4 + 4 * axes
    if content[:3] != bytes((0, 0, IDX_OF_BYTES)) or len(content) < start:
        raise ValueError("it does not begin as an idx file of bytes does")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", count=axes, offset=4))
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != prod(shape):
        raise ValueError(f"it holds {values.size:,} values, and its head says {' × '.join(map(str, shape))}")
    return values.reshape(shape)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Say which file is damaged, where reading one fails.

    Raises:
        SpecError: It is.
    """
    try:
        yield
    except (ValueError, OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise SpecError(f"{path} is damaged ({error}): remove it, then fetch or install it again.") from error
