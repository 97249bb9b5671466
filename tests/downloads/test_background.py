"""Downloads in the background: shared, watched, cancelled, gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropviz.downloads import Download, Fetches
from tests.downloads.server import Server, plain, whole
from tests.downloads.small import CONTENT, HALF, remote, wait_until

OTHER = b"second" * 1000


@pytest.fixture
def download(server: Server, tmp_path: Path) -> Download:
    files = (remote(f"{server.url}/one"), remote(f"{server.url}/two", OTHER))
    server.gives(whole(CONTENT), whole(OTHER))
    return Download(files=files, folder=tmp_path / "cache")


def ended(fetches: Fetches, download: Download) -> str:
    found = fetches.of(download)
    assert found is not None
    found.thread.join(30)
    return found.state


def test_it_is_fetched_while_others_go_on(download: Download) -> None:
    fetches = Fetches()
    assert fetches.of(download) is None
    found = fetches.start(download, "me")
    assert ended(fetches, download) == "done"
    assert (found.done, found.total) == (download.size, len(CONTENT) + len(OTHER))
    assert download.cached


def test_two_who_want_it_share_one_download(server: Server, download: Download) -> None:
    server.gives(whole(CONTENT, cut=HALF, hold=True), whole(OTHER))
    fetches = Fetches()
    mine = fetches.start(download, "me")
    assert fetches.start(download, "you") is mine
    wait_until(lambda: mine.done == HALF)
    fetches.leave(download, "me")
    server.released.set()
    assert ended(fetches, download) == "done"
    assert server.starts == [0, 0]


def test_the_last_one_who_leaves_cancels_it_and_the_next_one_goes_on_from_there(
    server: Server, download: Download
) -> None:
    server.gives(whole(CONTENT, cut=HALF, hold=True), whole(CONTENT), whole(OTHER))
    fetches = Fetches()
    former = fetches.start(download, "me")
    wait_until(lambda: former.done == HALF)
    fetches.leave(download, "me")
    later = fetches.start(download, "me")  # while the former one still holds the file
    assert later is not former
    server.released.set()
    assert ended(fetches, download) == "done"
    assert former.state == "cancelled"
    assert server.starts[1] > 0
    assert download.cached


def test_a_failure_is_a_sentence_and_what_came_is_kept_for_the_next_time(
    server: Server, download: Download
) -> None:
    server.gives(plain("404 Not Found", "Content-Length: 0"))
    fetches = Fetches()
    found = fetches.start(download, "me")
    assert ended(fetches, download) == "failed"
    assert "one was not fetched" in found.error
    server.gives(whole(CONTENT), whole(OTHER))
    assert fetches.start(download, "me") is not found
    assert ended(fetches, download) == "done"


def test_the_speed_is_not_told_before_there_is_one(server: Server, download: Download) -> None:
    server.gives(whole(CONTENT, cut=HALF, hold=True), whole(OTHER))
    fetches = Fetches()
    found = fetches.start(download, "me")
    wait_until(lambda: found.done == HALF)
    assert found.speed is None or found.speed >= 0
    server.released.set()
    assert ended(fetches, download) == "done"
