"""MNIST, 70,000 handwritten digits of 28 × 28 pixels (LeCun, Bottou, Bengio and Haffner 1998)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob
from dropviz.datasets.images import read_idx_files, split_images
from dropviz.downloads import RemoteFile
from dropviz.task import Task, classification

FOLDER = "https://storage.googleapis.com/cvdf-datasets/mnist"


class Mnist(Dataset):
    """Handwritten digits, pixels scaled to 0–1; no writer of the test set wrote in the training set."""

    name: Literal["mnist"] = "mnist"
    train_size: int = Field(
        1000,
        ge=16,
        le=55_000,
        title="Training images",
        description="Of the 60,000; 5,000 others are the validation split. The test split is the official one.",
    )
    label_noise: float = label_noise_knob(0.4, "all ten classes")

    title: ClassVar[str] = "MNIST (28 × 28 images)"
    origin: ClassVar[str] = "download (storage.googleapis.com)"
    licence: ClassVar[str] = "CC BY-SA 3.0"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            url=f"{FOLDER}/train-images-idx3-ubyte.gz",
            size=9_912_422,
            sha256="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        RemoteFile(
            url=f"{FOLDER}/train-labels-idx1-ubyte.gz",
            size=28_881,
            sha256="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        RemoteFile(
            url=f"{FOLDER}/t10k-images-idx3-ubyte.gz",
            size=1_648_877,
            sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        RemoteFile(
            url=f"{FOLDER}/t10k-labels-idx1-ubyte.gz",
            size=4_542,
            sha256="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    )

    @property
    def task(self) -> Task:
        """Ten classes."""
        return classification((1, 28, 28), classes=10)

    def load(self, seed: int) -> Splits:
        """Draw training and validation images by the seed, then redraw training labels."""
        images = read_idx_files(tuple(self.fetched(file) for file in self.files))
        return split_images(
            images, train_size=self.train_size, label_noise=self.label_noise, classes=10, seed=seed
        )
