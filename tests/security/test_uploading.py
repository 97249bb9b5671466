"""Uploads by Streamlit's own route: what one person may send, what all may, and that the page's own come through."""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager  # noqa: TID251
from streamlit.runtime.uploaded_file_manager import UploadedFileRec  # noqa: TID251

from dropviz.web import uploading
from dropviz.web.uploading import ROUTE, UploadLimits
from tests.browser.served import Served
from tests.web.loops import run_apart

SOMEBODY, ANOTHER = "a" * 32, "b" * 32


def announce(served: Served, size: int | None, visitor: str) -> int:
    """The status of an upload of which only the headers are sent; without a size it comes in pieces."""
    connection = HTTPConnection("127.0.0.1", served.port, timeout=30)
    try:
        connection.putrequest("PUT", f"{ROUTE}some-session/some-file")
        connection.putheader("Cookie", f"dropviz_visitor={visitor}")
        length = ("Transfer-Encoding", "chunked") if size is None else ("Content-Length", str(size))
        connection.putheader(*length)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_what_one_person_sends_within_an_hour_is_limited_and_others_have_their_own(served: Served) -> None:
    reached = 403  # Streamlit itself, which asks for the token of the page first
    assert [announce(served, 60_000_000, SOMEBODY) for _ in range(2)] == [reached, 429]
    assert announce(served, 1000, SOMEBODY) == reached
    assert announce(served, 60_000_000, ANOTHER) == reached


def test_a_file_without_a_length_and_one_beyond_all_room_are_refused(served: Served) -> None:
    assert announce(served, None, SOMEBODY) == 411
    assert announce(served, uploading.MOST_HELD + 1, SOMEBODY) == 503


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("encoding", ["chunked", "Chunked"])
def test_a_length_that_stands_beside_pieces_is_none(served: Served, encoding: str, way: int) -> None:
    fields = [f"Transfer-Encoding: {encoding}", "Content-Length: 1"][::way]
    lines = [f"PUT {ROUTE}some-session/some-file HTTP/1.1", f"Host: 127.0.0.1:{served.port}", *fields]
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as line:
        line.sendall("\r\n".join([*lines, "", "a", "0123456789", ""]).encode())
        status = line.makefile("rb").readline()
    assert status.split()[1] == b"411", status


@pytest.fixture
def passed() -> list[bytes]:
    """What came through."""
    return []


def taking(passed: list[bytes]) -> ASGIApp:
    """An application that takes each body whole."""

    async def take(scope, receive, send) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        passed.append(body)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return take


@pytest.fixture
def client(passed: list[bytes]) -> TestClient:
    return TestClient(UploadLimits(taking(passed)))


def test_what_is_held_counts_for_everybody(
    client: TestClient, passed: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [uploading.MOST_HELD - 10]
    monkeypatch.setattr(uploading, "held", lambda: there[0])
    for visitor, below in ((SOMEBODY, ""), (ANOTHER, "/below")):
        client.cookies.set("dropviz_visitor", visitor)
        assert client.put(f"{below}{ROUTE}s/f", content=b"x" * 10).status_code == 204
        assert client.put(f"{below}{ROUTE}s/f", content=b"x" * 11).status_code == 503
    there[0] = 0
    assert client.put(f"{ROUTE}s/f", content=b"x" * 11).status_code == 204
    assert [len(body) for body in passed] == [10, 10, 11]


@pytest.mark.parametrize(("said", "status"), [(12, 204), (11, 400), (8, 400), (1, 400)])
def test_no_more_comes_through_than_was_said(passed: list[bytes], said: int, status: int) -> None:
    pieces = iter([b"x" * 4, b"y" * 4, b"z" * 4])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece = next(pieces)
        return {"type": "http.request", "body": piece, "more_body": not piece.startswith(b"z")}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", str(said).encode())]
    scope = {"type": "http", "method": "PUT", "path": f"{ROUTE}s/f", "headers": headers}
    run_apart(UploadLimits(taking(passed)), scope, receive, send)
    assert sent[0]["status"] == status
    assert passed == ([b"xxxxyyyyzzzz"] if status == 204 else [])


def test_what_is_held_is_what_streamlit_says(monkeypatch: pytest.MonkeyPatch) -> None:
    files = MemoryUploadedFileManager("/upload")
    monkeypatch.setattr(uploading, "exists", lambda: True)
    monkeypatch.setattr(uploading, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=files))
    assert uploading.held() == 0
    for number in range(3):
        files.add_file("session", UploadedFileRec(str(number), "a.txt", "text/plain", b"x" * 1000))
    assert uploading.held() == 3000


def test_other_requests_are_not_counted(client: TestClient, passed: list[bytes]) -> None:
    assert client.put("/elsewhere", content=b"x").status_code == 204
    assert client.request("DELETE", f"{ROUTE}s/f").status_code == 204
    assert len(passed) == 2
