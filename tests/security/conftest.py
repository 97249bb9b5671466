"""A real server for all tests of this folder, and what asks it as a browser would, or as none would."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection, HTTPMessage

import pytest

from dropviz.experiment import ExperimentSpec, preset
from tests.browser.served import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """It listens to this computer alone, as by default."""
    with serving(tmp_path_factory.mktemp("guarded")) as running:
        yield running


@pytest.fixture
def spec() -> ExperimentSpec:
    """Nothing trains it here."""
    return preset("noisy-digits").with_settings(['arms=["none", "dropout"]', "seeds=2", "train.steps=40"])


def ask(
    served: Served, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, HTTPMessage, str]:
    """Status, headers and text of an answer; ``X_Name`` is the header X-Name."""
    connection = HTTPConnection("127.0.0.1", served.port, timeout=30)
    try:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, body=body, headers=named)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
