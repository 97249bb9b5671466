"""Fetching on a machine where things happen: full disks, people who stop it, other processes, sudden ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dropviz.downloads import DownloadError, RemoteFile, fetch
from tests.downloads.server import Server, whole
from tests.downloads.small import CONTENT, HALF, part, refused, remote, wait_until

ROOT = Path(__file__).resolve().parents[2]

# Disks and people.


def test_a_folder_that_cannot_be_made_is_named(file: RemoteFile, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        sentence = refused(file, folder)
        assert f"cannot be written to {folder}" in sentence
        assert "name another folder in DROPVIZ_CACHE" in sentence


def test_a_full_disk_is_told_in_words(file: RemoteFile, tmp_path: Path) -> None:
    part(file, tmp_path).symlink_to("/dev/full")
    assert "(No space left on device): it takes 300.0 kB; make room" in refused(file, tmp_path)


def test_a_disk_that_fills_up_keeps_the_part(file: RemoteFile, server: Server, tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from dropviz.downloads import RemoteFile, fetch\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "fetch(RemoteFile(url=sys.argv[1], size=int(sys.argv[2]), sha256=sys.argv[3]), Path(sys.argv[4]))\n"
    )
    done = subprocess.run(
        [*python(code), *arguments(file, tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert "DownloadError: images.gz cannot be written to" in done.stderr
    assert part(file, tmp_path).read_bytes() == CONTENT[:100_000]
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.starts == [0, 100_000]


def test_who_watches_can_stop_it_and_go_on_later(file: RemoteFile, server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done >= 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(file, tmp_path, progress=stop)
    come = part(file, tmp_path).stat().st_size
    assert 100_000 <= come < len(CONTENT)
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.starts == [0, come]


# Several processes.

FETCH = """
import sys
from pathlib import Path
from dropviz.downloads import DownloadError, RemoteFile, fetch
try:
    fetch(RemoteFile(url=sys.argv[1], size=int(sys.argv[2]), sha256=sys.argv[3]), Path(sys.argv[4]))
except DownloadError as error:
    sys.exit(str(error))
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]


def arguments(file: RemoteFile, folder: Path) -> list[str]:
    return [file.url, str(file.size), file.sha256, str(folder)]


def elsewhere(file: RemoteFile, folder: Path) -> subprocess.Popen[str]:
    command = [*python(FETCH), *arguments(file, folder)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def has_half(file: RemoteFile, folder: Path) -> bool:
    return part(file, folder).exists() and part(file, folder).stat().st_size == HALF


def test_a_second_process_is_told_to_wait_and_does_not_write(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(whole(CONTENT, cut=HALF, hold=True))
    first = elsewhere(file, tmp_path)
    wait_until(lambda: has_half(file, tmp_path))
    assert "images.gz is being fetched by another process: wait until" in refused(file, tmp_path)
    assert part(file, tmp_path).read_bytes() == CONTENT[:HALF]
    server.released.set()
    assert first.communicate(timeout=30)[1] == ""
    assert (tmp_path / file.name).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_of_many_processes_at_once_each_has_the_file_or_says_who_fetches_it(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    crowd = [elsewhere(file, tmp_path) for _ in range(6)]
    said = [process.communicate(timeout=60)[1].strip() for process in crowd]
    assert all(not words or "another process" in words for words in said), said
    assert "" in said
    assert os.listdir(tmp_path) == [file.name]
    assert (tmp_path / file.name).read_bytes() == CONTENT
    assert server.starts == [0]


def test_whoever_comes_while_another_finishes_finds_the_file(server: Server, tmp_path: Path) -> None:
    content = b"small"
    file = remote(f"{server.url}/small", content)
    server.gives(whole(content))

    def try_it(number: int) -> str:
        time.sleep(number % 7 / 4000)
        try:
            return fetch(file, tmp_path / str(number // 7)).name
        except DownloadError as error:
            return str(error)

    rounds = 60
    with ThreadPoolExecutor(7) as crowd:
        said = list(crowd.map(try_it, range(7 * rounds)))
    assert {words for words in said if "another process" not in words} == {"small"}
    for number in range(rounds):
        assert os.listdir(tmp_path / str(number)) == ["small"]
        assert (tmp_path / str(number) / "small").read_bytes() == content
    assert len(server.requests) == rounds


def test_a_killed_process_leaves_a_part_that_another_completes(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(whole(CONTENT, cut=HALF, hold=True), whole(CONTENT))
    process = elsewhere(file, tmp_path)
    wait_until(lambda: has_half(file, tmp_path))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert os.listdir(tmp_path) == [f"{file.name}.part"]
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.starts == [0, HALF]
