"""CIFAR-10, 60,000 color pictures of 32 × 32 pixels (Krizhevsky 2009), in the binary version: no pickles."""

from __future__ import annotations

import tarfile
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob
from dropviz.datasets.images import Images, of_bytes, split_images, whole
from dropviz.downloads import RemoteFile
from dropviz.task import Task, classification

TRAINING = tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6))
TEST = "cifar-10-batches-bin/test_batch.bin"
RECORD = 1 + 3 * 32 * 32  # bytes: the class, then the red, green and blue planes, row by row
CLASSES = 10


class Cifar10(Dataset):
    """Ten kinds of animals and vehicles, channels red, green and blue scaled to 0–1."""

    name: Literal["cifar-10"] = "cifar-10"
    train_size: int = Field(
        2000,
        ge=16,
        le=45_000,
        title="Training images",
        description="Of the 50,000; 5,000 others are the validation split. The test split is the official one.",
    )
    label_noise: float = label_noise_knob(0.0, "all ten classes")

    title: ClassVar[str] = "CIFAR-10 (32 × 32 color images)"
    origin: ClassVar[str] = "download (cs.toronto.edu)"
    licence: ClassVar[str] = "unknown, not to be passed on"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            size=170_052_171,
            sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
    )

    @property
    def task(self) -> Task:
        """Ten classes."""
        return classification((3, 32, 32), classes=CLASSES)

    def load(self, seed: int) -> Splits:
        """Draw training and validation images by the seed, then redraw training labels."""
        images = read_archive(self.fetched(self.files[0]))
        return split_images(
            images, train_size=self.train_size, label_noise=self.label_noise, classes=CLASSES, seed=seed
        )


@cache
def read_archive(path: Path) -> Images:
    """The images of ``cifar-10-binary.tar.gz``, read in memory: nothing is unpacked to the disk.

    Raises:
        SpecError: It is damaged.
    """
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    with whole(path), tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if member.name in (*TRAINING, TEST) and (content := archive.extractfile(member)):
                found[member.name] = read_records(content.read())
        if missing := [name for name in (*TRAINING, TEST) if name not in found]:
            raise ValueError(f"it does not hold {missing[0]}")
    x_train, y_train = (np.concatenate([found[name][part] for name in TRAINING]) for part in (0, 1))
    return of_bytes(x_train, y_train, *found[TEST])


def read_records(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images (records, 3, 32, 32) and class numbers (records,), both uint8, of one file of the binary version.

    Raises:
        ValueError: It is not a whole number of records, or a class is none of the ten.
    """
    if not content or len(content) % RECORD:
        raise ValueError(f"its {len(content):,} bytes are not whole records of {RECORD:,}")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() >= CLASSES:
        raise ValueError(f"it has a class {records[:, 0].max()}")
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
