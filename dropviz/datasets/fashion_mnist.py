"""Fashion-MNIST, 70,000 pictures of clothes of 28 × 28 pixels (Xiao, Rasul and Vollgraf 2017)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from dropviz.datasets.dataset import Dataset, Splits, label_noise_knob
from dropviz.datasets.images import read_idx_files, split_images
from dropviz.downloads import RemoteFile
from dropviz.task import Task, classification

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist puts it
FOLDER = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"


class FashionMnist(Dataset):
    """Ten kinds of clothes, pixels scaled to 0–1: as small as MNIST and harder."""

    name: Literal["fashion-mnist"] = "fashion-mnist"
    train_size: int = Field(
        1000,
        ge=16,
        le=55_000,
        title="Training images",
        description="Of the 60,000; 5,000 others are the validation split. The test split is the official one.",
    )
    label_noise: float = label_noise_knob(0.4, "all ten classes")

    title: ClassVar[str] = "Fashion-MNIST (28 × 28 images)"
    origin: ClassVar[str] = "Debian's dataset-fashion-mnist, else a download (amazonaws.com)"
    licence: ClassVar[str] = "MIT"
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            url=f"{FOLDER}/train-images-idx3-ubyte.gz",
            size=26_421_880,
            sha256="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        RemoteFile(
            url=f"{FOLDER}/train-labels-idx1-ubyte.gz",
            size=29_515,
            sha256="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        RemoteFile(
            url=f"{FOLDER}/t10k-images-idx3-ubyte.gz",
            size=4_422_102,
            sha256="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        RemoteFile(
            url=f"{FOLDER}/t10k-labels-idx1-ubyte.gz",
            size=5_148,
            sha256="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    )
    # Of what the files hold, which is the same however Debian packs it.
    contents: ClassVar[tuple[str, ...]] = (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    )

    @property
    def task(self) -> Task:
        """Ten classes."""
        return classification((1, 28, 28), classes=10)

    def missing(self) -> str:
        """Nothing where Debian's package is installed, or the files were fetched."""
        return "" if self._installed() else super().missing()

    def load(self, seed: int) -> Splits:
        """Draw training and validation images by the seed, then redraw training labels."""
        paths = self._installed() or tuple(self.fetched(file) for file in self.files)
        return split_images(
            read_idx_files(paths, self.contents),
            train_size=self.train_size,
            label_noise=self.label_noise,
            classes=10,
            seed=seed,
        )

    def _installed(self) -> tuple[Path, ...]:
        """Debian's four files, all with gzip or all without; nothing where one of them is not there."""
        zipped = tuple(DEBIAN / file.name for file in self.files)
        for paths in (zipped, tuple(path.with_suffix("") for path in zipped)):
            if all(path.is_file() for path in paths):
                return paths
        return ()
