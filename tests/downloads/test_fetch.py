"""Fetching from servers that misbehave: a clear error each time, never a wrong or half file, and only the rest again."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from dropviz.downloads import Download, DownloadError, RemoteFile, cached, fetch, shown_size
from tests.downloads import server as serve
from tests.downloads.server import Server, plain, raw, redirect, whole
from tests.downloads.small import CONTENT, HALF, leave, part, refused, remote

# A good server.


def test_a_file_is_fetched_into_a_folder_that_is_made(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    folder = tmp_path / "new" / "folder"
    path = fetch(file, folder, progress=lambda *amounts: seen.append(amounts))
    assert path == folder / "images.gz"
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]
    assert cached(file, folder)
    assert (seen[0], seen[-1]) == ((0, len(CONTENT)), (len(CONTENT), len(CONTENT)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert server.requests[0].path == "/data/images.gz"
    assert server.requests[0].headers["user-agent"].startswith("dropviz/")
    assert "range" not in server.requests[0].headers


def test_what_is_there_is_not_asked_for_again(file: RemoteFile, server: Server, tmp_path: Path) -> None:
    fetch(file, tmp_path)
    server.gives(plain("500 Oh No"))
    seen: list[tuple[int, int]] = []
    assert fetch(file, tmp_path, progress=lambda *amounts: seen.append(amounts)).read_bytes() == CONTENT
    assert server.requests == []
    assert seen == [(len(CONTENT), len(CONTENT))]


def test_a_file_of_another_size_under_the_name_is_replaced(file: RemoteFile, tmp_path: Path) -> None:
    (tmp_path / file.name).write_bytes(CONTENT[:HALF])
    assert not cached(file, tmp_path)
    assert fetch(file, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "answer",
    [
        plain("200 OK", body=CONTENT),  # as long as the connection lasts
        plain(
            "200 OK", "Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(CONTENT), CONTENT)
        ),
        plain("200 OK", "Content-Length: many", body=CONTENT),
        plain("200 OK", f"Content-Length: {len(CONTENT)}", body=CONTENT + b"and more"),
        plain("200 OK", body=CONTENT + b"and more"),
    ],
    ids=["no length", "chunked", "length no number", "more than its length", "more without a length"],
)
def test_a_length_is_not_needed_and_what_comes_after_the_file_is_not_taken(
    answer: serve.Answer, file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(answer)
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_redirect_to_another_server_is_followed_with_the_range(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    with serve.serving() as other:
        other.gives(whole(CONTENT))
        server.gives(redirect(f"{other.url}/elsewhere"))
        leave(file, tmp_path, CONTENT[:HALF])
        assert fetch(file, tmp_path).read_bytes() == CONTENT
        assert other.starts == [HALF]
        assert other.requests[0].headers["user-agent"].startswith("dropviz/")


# Going on where it ended.


def test_a_connection_that_breaks_leaves_a_part_that_the_next_fetch_completes(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(whole(CONTENT, cut=HALF))
    sentence = refused(file, tmp_path)
    assert "127.0.0.1 broke off; 150.0 kB of 300.0 kB came: fetch it again to go on from there." in sentence
    assert part(file, tmp_path).read_bytes() == CONTENT[:HALF]
    server.gives(whole(CONTENT))
    seen: list[int] = []
    assert fetch(file, tmp_path, progress=lambda done, _: seen.append(done)).read_bytes() == CONTENT
    assert server.starts == [HALF]
    assert seen[0] == HALF
    assert os.listdir(tmp_path) == [file.name]


def test_it_asks_again_by_itself_for_the_rest_only(file: RemoteFile, server: Server, tmp_path: Path) -> None:
    broken = whole(CONTENT, cut=70_000)
    server.gives(broken, broken, broken, whole(CONTENT))
    assert fetch(file, tmp_path, retries=3, pause=0).read_bytes() == CONTENT
    assert server.starts == [0, 70_000, 140_000, 210_000]


def test_it_does_not_ask_again_without_end(file: RemoteFile, server: Server, tmp_path: Path) -> None:
    server.gives(whole(CONTENT, cut=10))
    assert "40 bytes of 300.0 kB came" in refused(file, tmp_path, retries=3)
    assert server.starts == [0, 10, 20, 30]


@pytest.mark.parametrize("answer", [raw(b""), raw(b"HTTP/1.1 200 OK\r\n"), whole(CONTENT, cut=0)])
def test_a_connection_that_ends_before_the_first_byte_is_tried_again(
    answer: serve.Answer, file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(answer, whole(CONTENT))
    assert fetch(file, tmp_path, retries=1, pause=0).read_bytes() == CONTENT
    assert server.starts == [0, 0]


def test_a_server_without_ranges_sends_it_from_the_beginning(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(whole(CONTENT, ranges=False))
    leave(file, tmp_path, b"x" * HALF)  # would show, were it kept
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.starts == [HALF]


@pytest.mark.parametrize(
    "refusal",
    [
        plain("416 Range Not Satisfiable", f"Content-Range: bytes */{len(CONTENT)}"),
        plain("206 Partial Content", f"Content-Range: bytes 9-299999/{len(CONTENT)}", body=CONTENT[9:]),
        plain("206 Partial Content", body=CONTENT[HALF:]),
        plain("206 Partial Content", "Content-Range: all of it", body=CONTENT[HALF:]),
        plain("204 No Content"),
    ],
    ids=["416", "another range", "no range", "no sense", "204"],
)
def test_a_refused_range_starts_over_once(
    refusal: serve.Answer, file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(refusal, whole(CONTENT))
    leave(file, tmp_path, b"x" * HALF)
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.starts == [HALF, 0]
    assert "range" not in server.requests[1].headers


@pytest.mark.parametrize("status", ["416 Range Not Satisfiable", "206 Partial Content"])
def test_a_range_that_nobody_asked_for_is_no_answer(
    status: str, file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(plain(status, "Content-Range: bytes 0-9/10", body=b"0123456789"))
    leave(file, tmp_path, CONTENT[:HALF])
    assert f"answered {status}" in refused(file, tmp_path)
    assert server.starts == [HALF, 0]
    assert part(file, tmp_path).read_bytes() == CONTENT[:HALF]


def test_a_complete_part_is_only_verified(file: RemoteFile, server: Server, tmp_path: Path) -> None:
    leave(file, tmp_path, CONTENT)  # killed between the last byte and the renaming
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.requests == []


def test_a_part_that_is_longer_than_the_file_is_dropped(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    leave(file, tmp_path, CONTENT + b"and more")
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.starts == [0]


# What is not the file.


def test_a_wrong_hash_is_named_and_the_part_removed(file: RemoteFile, server: Server, tmp_path: Path) -> None:
    wrong = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    server.gives(whole(wrong))
    sentence = refused(file, tmp_path)
    assert f"its SHA-256 is {hashlib.sha256(wrong).hexdigest()}, expected is {file.sha256}" in sentence
    assert os.listdir(tmp_path) == []
    server.gives(whole(CONTENT))
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_part_of_another_file_is_found_out(file: RemoteFile, server: Server, tmp_path: Path) -> None:
    leave(file, tmp_path, b"x" * HALF)
    assert "is not the expected file" in refused(file, tmp_path)
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.starts == [HALF, 0]


@pytest.mark.parametrize("length", [0, 5, 299_999, 300_001, 10**12])
def test_a_file_of_another_length_is_refused_before_anything_is_written(
    length: int, file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(plain("200 OK", f"Content-Length: {length}", body=CONTENT))
    assert f"has a file of {length:,} bytes there, expected are 300,000" in refused(file, tmp_path)
    assert os.listdir(tmp_path) == []
    leave(file, tmp_path, CONTENT[:HALF])  # a captive portal, say, does not cost what is here
    refused(file, tmp_path)
    assert part(file, tmp_path).read_bytes() == CONTENT[:HALF]


def test_a_rest_of_a_file_of_another_length_is_refused(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(whole(CONTENT + b"and more"))
    leave(file, tmp_path, CONTENT[:HALF])
    assert "has a file of 300,008 bytes there" in refused(file, tmp_path)
    assert part(file, tmp_path).read_bytes() == CONTENT[:HALF]


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 50_000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"c350\r\n" + b"x" * 50_000 + b"\r\n"),
    ],
    ids=["without a length", "chunked"],
)
def test_endless_data_is_cut_at_the_size_of_the_file(
    head: bytes, again: bytes, file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(serve.endless(head, again))
    sizes: list[int] = []
    with pytest.raises(DownloadError, match="is not the expected file"):
        fetch(file, tmp_path, progress=lambda *_: sizes.append(part(file, tmp_path).stat().st_size))
    assert max(sizes) == len(CONTENT)
    assert os.listdir(tmp_path) == []


# What is no answer.


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (plain("404 Not Found"), "127.0.0.1 answered 404 Not Found; check the connection"),
        (plain("500 Internal Server Error", body=b"<h1>Sorry"), "answered 500 Internal Server Error"),
        (plain("503 \x1b[31mBusy"), "answered 503 [31mBusy"),
        (plain("401 Who Are You", "WWW-Authenticate: Basic"), "answered 401 Who Are You"),
        (plain("204 No Content"), "answered 204 No Content"),
        (plain("304 Not Modified"), "answered 304 Not Modified"),
        (plain("302 Found"), "answered 302 Found"),
        (redirect("file:///etc/passwd"), "Redirection to url 'file:///etc/passwd' is not allowed"),
        (redirect("data:text/plain,hello"), "Redirection to url 'data:text/plain,hello' is not allowed"),
        (redirect("ftp://127.0.0.1/images.gz"), "unknown url type: ftp"),
        (redirect("http://127.0.0.1:99999999/"), "127.0.0.1 "),
        (redirect("http://[::1/"), "makes no sense"),
        (redirect("/data/images.gz"), "infinite loop"),
        (raw(b"220 mail.example.org ESMTP\r\n"), "makes no sense"),
        (raw(b"HTTP/1.1 OK\r\n\r\n"), "makes no sense"),
        (serve.endless(b"HTTP/1.1 200 ", b"OK " * 1000), "makes no sense"),
        (serve.endless(b"HTTP/1.1 200 OK\r\n", b"X-More: yes\r\n"), "makes no sense"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_without_the_file_is_told_in_words_and_costs_nothing(
    answer: serve.Answer, sentence: str, file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(answer)
    assert sentence in refused(file, tmp_path, retries=3)
    assert os.listdir(tmp_path) == []
    leave(file, tmp_path, CONTENT[:HALF])
    assert sentence.partition(";")[0] in refused(file, tmp_path, retries=3)
    assert part(file, tmp_path).read_bytes() == CONTENT[:HALF]


@pytest.mark.parametrize(
    "answer", [plain("404 Not Found"), plain("200 OK", "Content-Length: 5"), serve.silent]
)
def test_what_another_try_would_not_change_is_not_tried_again(
    answer: serve.Answer, file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(answer)
    refused(file, tmp_path, timeout=0.2, retries=3)
    assert len(server.requests) == 1


def test_a_server_that_says_nothing_is_given_up(file: RemoteFile, server: Server, tmp_path: Path) -> None:
    server.gives(serve.silent)
    assert "127.0.0.1 sent nothing for 0.2 seconds; check" in refused(file, tmp_path, timeout=0.2)
    assert len(server.requests) == 1


def test_a_server_that_stalls_midway_is_given_up_and_the_part_stays(
    file: RemoteFile, server: Server, tmp_path: Path
) -> None:
    server.gives(whole(CONTENT, cut=HALF, hold=True))
    sentence = refused(file, tmp_path, timeout=0.3)
    assert "sent nothing for 0.3 seconds; 150.0 kB of 300.0 kB came" in sentence
    assert part(file, tmp_path).read_bytes() == CONTENT[:HALF]


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{free.getsockname()[1]}/images.gz"
        assert "127.0.0.1 cannot be reached (" in refused(remote(url), tmp_path)


# Several files, and what describes one.


def test_the_files_of_a_group_count_together(server: Server, tmp_path: Path) -> None:
    one, two = CONTENT[:100_000], CONTENT[100_000:]
    files = (remote(f"{server.url}/one", one), remote(f"{server.url}/two", two))
    group = Download(files=files, folder=tmp_path)
    server.gives(whole(one), whole(two, cut=HALF), whole(two))
    with pytest.raises(DownloadError, match="two was not fetched"):
        group.fetch(retries=0)
    assert (group.size, group.cached) == (len(CONTENT), False)
    assert sorted(os.listdir(tmp_path)) == ["one", "two.part"]
    seen: list[tuple[int, int]] = []
    group.fetch(progress=lambda *amounts: seen.append(amounts))
    assert seen[0] == (100_000, len(CONTENT))
    assert seen[1] == (100_000 + HALF, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [request.path for request in server.requests] == ["/one", "/two", "/two"]
    assert group.cached
    assert group.path(files[1]).read_bytes() == two


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "file:///etc/passwd"},
        {"url": "ftp://example.org/x"},
        {"url": "example.org/x"},
        {"url": "https://example.org/"},
        {"size": 0},
        {"sha256": "0" * 63},
        {"sha256": "F" * 64},
        {"name": "../x"},
        {"name": "a/b"},
        {"name": ".."},
        {"name": ".x"},
    ],
    ids=str,
)
def test_an_impossible_file_is_refused_where_it_is_written_down(changes: dict[str, object]) -> None:
    possible = {"url": "https://example.org/a/x.gz?raw=1", "size": 1, "sha256": "0" * 64}
    assert RemoteFile(**possible).name == "x.gz"
    assert RemoteFile(**possible, name="y.txt").name == "y.txt"
    with pytest.raises(ValueError, match="is not possible: give"):
        RemoteFile(**possible | changes)


def test_sizes_are_shown_as_people_read_them() -> None:
    sizes = (7, 4_542, 1_000_000, 170_052_171, 2_500_000_000)
    assert [shown_size(size) for size in sizes] == ["7 bytes", "4.5 kB", "1.0 MB", "170.1 MB", "2.5 GB"]
