"""A real server on this machine that answers as it is told to, badly if need be."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[["Request"], None]


class Request:
    """One request: what was asked, and ways to answer."""

    def __init__(self, connection: socket.socket, head: str, released: threading.Event) -> None:
        self.connection = connection
        self.path = head.split(" ")[1]
        self.headers = {name.lower(): value for name, value in re.findall(r"(?m)^([\w-]+): (.*)$", head)}
        self.released = released

    @property
    def start(self) -> int:
        """The first byte that is asked for."""
        return int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def send(self, raw: bytes) -> None:
        """Bytes as they are."""
        self.connection.sendall(raw)

    def head(self, status: str, *lines: str) -> None:
        """A status line and headers."""
        self.send("\r\n".join((f"HTTP/1.1 {status}", *lines, "Connection: close", "", "")).encode())


def whole(content: bytes, *, ranges: bool = True, cut: int | None = None, hold: bool = False) -> Answer:
    """Serve it as a good server does, but close the connection, or wait, after ``cut`` bytes of the body."""

    def answer(request: Request) -> None:
        start = request.start if ranges else 0
        body, last = content[start:], len(content) - 1
        if start:
            request.head(
                "206 Partial Content",
                f"Content-Length: {len(body)}",
                f"Content-Range: bytes {start}-{last}/{len(content)}",
            )
        else:
            request.head("200 OK", f"Content-Length: {len(body)}")
        request.send(body[:cut])
        if hold:
            request.released.wait(30)
            request.send(body[cut:])

    return answer


def plain(status: str, *lines: str, body: bytes = b"") -> Answer:
    """This head and this body, whatever was asked."""

    def answer(request: Request) -> None:
        request.head(status, *lines)
        request.send(body)

    return answer


def redirect(target: str) -> Answer:
    """To somewhere else."""
    return plain("302 Found", f"Location: {target}", "Content-Length: 0")


def raw(text: bytes) -> Answer:
    """Not necessarily HTTP."""
    return lambda request: request.send(text)


def silent(request: Request) -> None:
    """Take the request and say nothing."""
    request.released.wait(30)


def endless(head: bytes, again: bytes) -> Answer:
    """Send until the other side has had enough."""

    def answer(request: Request) -> None:
        request.send(head)
        while not request.released.is_set():
            request.send(again)

    return answer


class Server(socketserver.ThreadingTCPServer):
    """Gives its answers in their order, the last one from then on, and remembers the requests."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.requests: list[Request] = []
        self.released = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def starts(self) -> list[int]:
        """The first byte that each request asked for."""
        return [request.start for request in self.requests]

    def gives(self, *answers: Answer) -> None:
        """From now on these, and count the requests afresh."""
        self.answers, self.requests = list(answers), []


class _Handler(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (more := self.request.recv(65536)):
                return
            head += more
        request = Request(self.request, head.decode("latin-1").replace("\r\n", "\n"), self.server.released)
        with self.server.lock:
            self.server.requests.append(request)
            answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        try:
            answer(request)
            self.request.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the client has gone


@contextmanager
def serving() -> Iterator[Server]:
    """A server for as long as the block lasts."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
