"""A small file to fetch, and what is asked of every fetch that fails."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dropviz.downloads import DownloadError, RemoteFile, cached, fetch

CONTENT = np.random.default_rng(0).bytes(300_000)
HALF = 150_000


def remote(url: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(url=url, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def refused(file: RemoteFile, folder: Path, **options: float) -> str:
    """The sentence of the error; nothing is there under the file's name, and the folder holds nothing else."""
    with pytest.raises(DownloadError) as error:
        fetch(file, folder, **{"timeout": 20.0, "retries": 0, "pause": 0.0} | options)
    assert not cached(file, folder)
    assert not (folder / file.name).exists()
    if folder.is_dir():
        assert {path.name for path in folder.iterdir()} <= {f"{file.name}.part"}
    sentence = str(error.value)
    assert "\n" not in sentence
    assert file.name in sentence
    return sentence


def part(file: RemoteFile, folder: Path) -> Path:
    return folder / f"{file.name}.part"


def leave(file: RemoteFile, folder: Path, content: bytes) -> None:
    """As if a fetch had ended early."""
    part(file, folder).write_bytes(content)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
