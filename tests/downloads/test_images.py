"""The image sets out of files, read in the true formats, from small files that are made here."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dropviz.choices import SpecError
from dropviz.datasets import Dataset, fashion_mnist, registry
from dropviz.datasets.cifar_10 import Cifar10, read_records
from dropviz.datasets.fashion_mnist import FashionMnist
from dropviz.datasets.images import VALIDATION_IMAGES, read_idx
from dropviz.datasets.mnist import Mnist
from dropviz.downloads import RemoteFile, cached

TRAINING, TEST = VALIDATION_IMAGES + 300, 60
SETS = (Mnist, FashionMnist, Cifar10)
every_set = pytest.mark.parametrize("kind", SETS, ids=lambda kind: kind.__name__)


def idx(array: np.ndarray) -> bytes:
    """The idx format as its authors describe it."""
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def numbered(count: int, first: int, shape: tuple[int, ...]) -> np.ndarray:
    """Images that carry their number in their first two bytes."""
    images = np.zeros((count, np.prod(shape)), np.uint8)
    images[:, 0], images[:, 1] = np.divmod(np.arange(first, first + count), 256)
    images[:, -1] = 255
    return images.reshape(count, *shape)


def labels(count: int) -> np.ndarray:
    return (np.arange(count) * 7 % 10).astype(np.uint8)


def idx_files(packed: Callable[[bytes], bytes] = gzip.compress) -> dict[str, bytes]:
    """The four files of an MNIST, without the ending."""
    return {
        "train-images-idx3-ubyte": packed(idx(numbered(TRAINING, 0, (28, 28)))),
        "train-labels-idx1-ubyte": packed(idx(labels(TRAINING))),
        "t10k-images-idx3-ubyte": packed(idx(numbered(TEST, TRAINING, (28, 28)))),
        "t10k-labels-idx1-ubyte": packed(idx(labels(TEST))),
    }


def cifar_archive(leave_out: str = "") -> bytes:
    """The binary version's archive, its members out of order as in the true one."""
    images, classes = numbered(TRAINING + TEST, 0, (3072,)), np.append(labels(TRAINING), labels(TEST))
    records = np.concatenate([classes[:, None], images], axis=1)
    batches = dict(
        zip(["data_batch_1", "data_batch_2", "data_batch_3"], np.split(records[:3000], 3), strict=True)
    )
    batches |= {"data_batch_4": records[3000:4000], "data_batch_5": records[4000:TRAINING]}
    batches |= {"test_batch": records[TRAINING:], "readme": records[:0]}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name in sorted(batches, reverse=True):
            if name != leave_out:
                member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
                member.size = batches[name].nbytes
                archive.addfile(member, io.BytesIO(batches[name].tobytes()))
    return stream.getvalue()


@dataclass(frozen=True)
class Here:
    """A cache directory on this machine, and a way to put a set's small files there."""

    folder: Path
    patch: pytest.MonkeyPatch

    def put(self, kind: type[Dataset], contents: dict[str, bytes]) -> None:
        files = []
        for name, content in contents.items():
            digest = hashlib.sha256(content).hexdigest()
            files.append(RemoteFile(url=f"http://127.0.0.1/{name}", size=len(content), sha256=digest))
            path = self.folder / kind().name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.patch.setattr(kind, "files", tuple(files))

    def fill(self, kind: type[Dataset]) -> None:
        if kind is Cifar10:
            return self.put(kind, {"cifar-10-binary.tar.gz": cifar_archive()})
        if kind is FashionMnist:
            self.patch.setattr(kind, "contents", hashes(idx_files(bytes)))
        return self.put(kind, {f"{name}.gz": content for name, content in idx_files().items()})


def hashes(contents: dict[str, bytes]) -> tuple[str, ...]:
    return tuple(hashlib.sha256(content).hexdigest() for content in contents.values())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setenv("DROPVIZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    return Here(tmp_path / "cache", monkeypatch)


def numbers(x: np.ndarray) -> np.ndarray:
    pixels = np.rint(x.reshape(len(x), -1) * 255).astype(int)
    return pixels[:, 0] * 256 + pixels[:, 1]


# The sets.


@every_set
def test_validation_is_drawn_from_the_training_images_and_the_test_set_is_the_official_one(
    kind: type[Dataset], here: Here
) -> None:
    here.fill(kind)
    data = kind(train_size=200, label_noise=0.0)
    assert data.missing() == ""
    splits = data.load(0)
    sizes = (len(splits.x_train), len(splits.x_validation), len(splits.x_test))
    assert sizes == (200, VALIDATION_IMAGES, TEST)
    drawn = np.concatenate([numbers(splits.x_train), numbers(splits.x_validation)])
    assert len(set(drawn)) == 200 + VALIDATION_IMAGES
    assert drawn.max() < TRAINING
    np.testing.assert_array_equal(numbers(splits.x_test), np.arange(TRAINING, TRAINING + TEST))
    np.testing.assert_array_equal(splits.y_train, labels(TRAINING)[numbers(splits.x_train)])
    np.testing.assert_array_equal(splits.y_validation, labels(TRAINING)[numbers(splits.x_validation)])
    np.testing.assert_array_equal(splits.y_test, labels(TEST))
    for name in ("train", "validation", "test"):
        x, y = getattr(splits, f"x_{name}"), getattr(splits, f"y_{name}")
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert x.shape[1:] == data.task.shape
        assert (x.min(), x.max()) == (0, 1)
        assert set(y) == set(range(data.task.outputs))


@every_set
def test_the_seed_draws_the_images_and_the_noise(kind: type[Dataset], here: Here) -> None:
    here.fill(kind)
    one, again, other = (kind(train_size=200, label_noise=0.5).load(seed) for seed in (3, 3, 4))
    for name, array in vars(one).items():
        np.testing.assert_array_equal(array, getattr(again, name))
    assert (numbers(one.x_train) != numbers(other.x_train)).any()
    assert one.x_test is other.x_test  # the larger part of the memory, once for all seeds
    wrong = (one.y_train != labels(TRAINING)[numbers(one.x_train)]).mean()
    assert 0.3 < wrong < 0.6  # 0.45 are expected
    np.testing.assert_array_equal(one.y_validation, labels(TRAINING)[numbers(one.x_validation)])


@every_set
def test_a_set_that_was_not_fetched_says_how_to_get_it(kind: type[Dataset], here: Here) -> None:
    data = kind()
    size = {Mnist: "11.6 MB", FashionMnist: "30.9 MB", Cifar10: "170.1 MB"}[kind]
    sentence = data.missing()
    assert sentence.startswith(f"{data.title} has to be fetched first ({size}, licence: {data.licence}): run")
    assert sentence.endswith(f"run `dropviz data fetch {data.name}`, or press Fetch in the page.")
    with pytest.raises(SpecError) as error:
        data.load(0)
    assert str(error.value) == sentence
    assert not here.folder.exists()


@every_set
def test_half_of_a_set_is_not_enough(kind: type[Dataset], here: Here) -> None:
    here.fill(kind)
    data = kind()
    last = data.download().path(data.files[-1])
    last.write_bytes(last.read_bytes()[:-1])
    assert not cached(data.files[-1], here.folder / data.name)
    assert "has to be fetched first" in data.missing()
    with pytest.raises(SpecError, match="has to be fetched first"):
        data.load(0)


@every_set
def test_a_file_that_was_damaged_since_is_named(kind: type[Dataset], here: Here) -> None:
    here.fill(kind)
    data = kind()
    path = data.download().path(data.files[0])
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(SpecError, match=r"is damaged \(.*\): remove it, then fetch"):
        data.load(0)


def test_a_cache_that_cannot_be_used_is_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_CACHE", __file__)
    assert Mnist().missing().startswith(f"DROPVIZ_CACHE = '{__file__}' is not a directory")


def test_the_files_of_all_sets_have_different_places_and_identify_the_data() -> None:
    fetched = [data for data in (member() for member in registry.members.values()) if data.files]
    assert {data.name for data in fetched} >= {"mnist", "fashion-mnist", "cifar-10"}
    for data in fetched:
        assert len({file.name for file in data.files}) == len(data.files)
        assert data.source()
    assert len({data.source() for data in fetched}) == len(fetched)


# Debian's Fashion-MNIST.


@pytest.mark.parametrize(("packed", "ending"), [(gzip.compress, ".gz"), (bytes, "")])
def test_fashion_mnist_is_taken_from_debian_if_it_is_installed(
    packed: Callable[[bytes], bytes], ending: str, here: Here
) -> None:
    data = FashionMnist(train_size=16, label_noise=0.0)
    here.patch.setattr(FashionMnist, "contents", hashes(idx_files(bytes)))
    fashion_mnist.DEBIAN.mkdir()
    for name, content in idx_files(packed).items():
        assert data.missing()
        (fashion_mnist.DEBIAN / f"{name}{ending}").write_bytes(content)
    assert data.missing() == ""
    np.testing.assert_array_equal(data.load(0).y_test, labels(TEST))
    assert not here.folder.exists()


def test_another_fashion_mnist_than_the_known_one_is_refused(here: Here) -> None:
    fashion_mnist.DEBIAN.mkdir()
    for name, content in idx_files(bytes).items():
        (fashion_mnist.DEBIAN / name).write_bytes(content)
    found = hashes(idx_files(bytes))[0]
    with pytest.raises(SpecError, match=f"holds is {found}, expected is {FashionMnist.contents[0]}"):
        FashionMnist().load(0)


# The formats.


def test_idx_is_read_whatever_its_axes() -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 2, 5), np.uint8)
    for part in (array, array[0], array[0, 0]):
        np.testing.assert_array_equal(read_idx(idx(part)), part)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "does not begin as an idx file"),
        (b"\x00\x00\x08", "does not begin as an idx file"),
        (b"\x00\x00\x08\x03\x00\x00", "does not begin as an idx file"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", "does not begin as an idx file of bytes"),
        (idx(np.zeros((4, 5), np.uint8))[:-1], "holds 19 values, and its head says 4 × 5"),
        (idx(np.zeros(3, np.uint8)) + b"x", "holds 4 values, and its head says 3"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "its head says 4294967295 × 4294967295 × 4294967295"),
    ],
)
def test_what_is_no_idx_file_is_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_idx(content)


def test_a_record_of_cifar_is_a_class_and_three_planes() -> None:
    content = bytes([3]) + bytes([1]) * 1024 + bytes(range(256)) * 4 + bytes([2]) * 1024
    x, y = read_records(content * 2)
    assert (x.shape, list(y)) == ((2, 3, 32, 32), [3, 3])
    assert (x[0, 0] == 1).all()
    assert (x[0, 2] == 2).all()
    assert [x[0, 1, row, column] for row, column in ((0, 0), (0, 31), (1, 0), (8, 0))] == [0, 31, 32, 0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "its 0 bytes are not whole records"),
        (b"\x01" * 3072, "its 3,072 bytes are not whole records of 3,073"),
        (b"\x0a" * 3073, "it has a class 10"),
    ],
)
def test_what_is_no_cifar_batch_is_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_records(content)


def test_a_cifar_archive_without_one_of_its_members_is_refused(here: Here) -> None:
    here.put(Cifar10, {"cifar-10-binary.tar.gz": cifar_archive(leave_out="data_batch_4")})
    with pytest.raises(SpecError, match=r"does not hold cifar-10-batches-bin/data_batch_4\.bin"):
        Cifar10().load(0)
