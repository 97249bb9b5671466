"""One request for a file, from where its part ends: what a server may answer, and what becomes of each answer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException, HTTPResponse, IncompleteRead
from io import FileIO
from typing import cast
from urllib import request
from urllib.error import HTTPError, URLError

from dropviz import __version__
from dropviz.downloads.remote import Progress, RemoteFile

CHUNK = 2**16  # bytes that are read at once, at most
RANGE_REFUSED = 416


class TransferError(Exception):
    """A request that did not bring the file; the message is the part of a sentence that says what happened.

    Attributes:
        broken: The connection broke, so that asking again may well help.
    """

    def __init__(self, happened: str, *, broken: bool = False) -> None:
        super().__init__(happened)
        self.broken = broken


class DiskError(Exception):
    """The part cannot be written; the message is what the system says."""


def transfer(file: RemoteFile, part: FileIO, *, timeout: float, progress: Progress) -> None:
    """Append what is missing of a file to its part, never more than the file's size.

    A server that does not know ranges sends the whole file, which then replaces the part.

    Args:
        file: What to ask for.
        part: Opened for appending, unbuffered; its length is where to go on.
        timeout: Seconds without a byte, while connecting or later, after which the server is given up.
        progress: Told the bytes that are there, of how many; what it raises ends the transfer.

    Raises:
        TransferError: The server did not send all of it; what came is in the part.
        DiskError: The part could not be written.
    """
    with on_disk():
        start = os.fstat(part.fileno()).st_size
        if start > file.size:  # of a file that had this name before
            part.truncate(0)
            start = 0
    with closing(_answer(file, start, timeout)) as answer:
        done = start if answer.status == 206 else 0
        with on_disk():
            if done < start:
                part.truncate(0)
        progress(done, file.size)
        while done < file.size:
            with _over_network(file, timeout):
                chunk = answer.read1(min(CHUNK, file.size - done))
            if not chunk:
                raise TransferError(f"{file.host} broke off", broken=True)
            with on_disk():
                _append(part, chunk)
            done += len(chunk)
            progress(done, file.size)


@contextmanager
def on_disk() -> Iterator[None]:
    """Name the errors of the file system for what they are.

    Raises:
        DiskError: For an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        raise DiskError(error.strerror or str(error)) from error


def _append(part: FileIO, chunk: bytes) -> None:
    while chunk:  # a disk that is nearly full takes some of it
        chunk = chunk[part.write(chunk) :]


def _answer(file: RemoteFile, start: int, timeout: float) -> HTTPResponse:
    """The server's answer, 200 with the whole file or 206 with what is missing of it."""
    answer = _ask(file, start, timeout)
    if start and answer.status != 200 and not _goes_on(answer, start):
        answer.close()
        start, answer = 0, _ask(file, 0, timeout)
    try:
        _check(file, answer, start)
    except TransferError:
        answer.close()
        raise
    return answer


def _ask(file: RemoteFile, start: int, timeout: float) -> HTTPResponse:
    """The answer to a request for everything from ``start`` on; one that refuses the range is an answer, too."""
    headers = {"User-Agent": f"dropviz/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with _over_network(file, timeout):
        try:
            answer = _opener().open(request.Request(file.url, headers=headers), timeout=timeout)
        except HTTPError as error:
            if error.code != RANGE_REFUSED or not start:
                error.close()
                raise
            answer = error
    return cast(HTTPResponse, answer)


def _opener() -> request.OpenerDirector:
    """What opens http and https and nothing else, wherever a redirect points: no file:, ftp: or data:."""
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.UnknownHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _goes_on(answer: HTTPResponse, start: int) -> bool:
    """Whether an answer holds the bytes from ``start`` on."""
    return answer.status == 206 and _content_range(answer)[0] == start


def _content_range(answer: HTTPResponse) -> tuple[int | None, int | None]:
    """The first byte of a partial answer and the size of the whole file, as far as the server tells."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
    if match is None:
        return None, None
    return int(match[1]), None if match[2] == "*" else int(match[2])


def _check(file: RemoteFile, answer: HTTPResponse, start: int) -> None:
    """Refuse an answer that cannot be (the rest of) the file before any of it is written."""
    if answer.status != (206 if start and answer.status != 200 else 200):
        raise TransferError(f"{file.host} answered {answer.status} {_plain(answer.reason)}")
    if answer.status == 206:
        size = _content_range(answer)[1]
    else:
        length = answer.headers.get("Content-Length", "").strip()
        size = int(length) if length.isdecimal() else None
    if size is not None and size != file.size:
        raise TransferError(f"{file.host} has a file of {size:,} bytes there, expected are {file.size:,}")


@contextmanager
def _over_network(file: RemoteFile, timeout: float) -> Iterator[None]:
    """Say in plain words what a request or an answer ran into."""
    try:
        yield
    except HTTPError as error:
        raise TransferError(f"{file.host} answered {error.code} {_plain(error.reason)}") from error
    except TimeoutError as error:
        raise _stalled(file, timeout) from error
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _stalled(file, timeout) from error
        raise TransferError(f"{file.host} cannot be reached ({_plain(error.reason)})") from error
    except (OSError, IncompleteRead) as error:  # reset, or closed before or within the answer
        raise TransferError(f"{file.host} broke off", broken=True) from error
    except (HTTPException, ValueError) as error:  # no HTTP, or a redirect to what is no address
        raise TransferError(f"{file.host} gave an answer that makes no sense ({_plain(error)})") from error


def _stalled(file: RemoteFile, timeout: float) -> TransferError:
    return TransferError(f"{file.host} sent nothing for {timeout:g} seconds")


def _plain(foreign: object) -> str:
    """What a server or the system says, on one line and not without end."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(foreign)).split()
    return " ".join(words)[:200]
