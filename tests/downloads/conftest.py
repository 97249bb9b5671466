"""A server on this machine, and a file that it serves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dropviz.downloads import RemoteFile
from tests.downloads import server as serve
from tests.downloads.server import Server, whole
from tests.downloads.small import CONTENT, remote


@pytest.fixture
def server() -> Iterator[Server]:
    """Serves the file as a good server does, until it is told otherwise."""
    with serve.serving() as running:
        running.gives(whole(CONTENT))
        yield running


@pytest.fixture
def file(server: Server) -> RemoteFile:
    """The file, by an address of the server."""
    return remote(f"{server.url}/data/images.gz")
