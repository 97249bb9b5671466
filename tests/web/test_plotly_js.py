"""The charts' library comes out of the installed wheel, and browsers may keep it."""

from __future__ import annotations

import gzip
from importlib import metadata, resources

import pytest
from starlette.applications import Starlette

from dropviz.web import plotly_js

APP = Starlette(routes=[plotly_js.route])


@pytest.fixture(scope="module")
def wheel() -> bytes:
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_bytes()


def test_the_file_is_the_one_of_the_wheel(get, wheel: bytes) -> None:
    answer = get(APP, plotly_js.PATH)
    assert answer.status == 200
    assert answer.body == wheel
    assert answer.header("content-type").startswith("text/javascript")
    assert "content-encoding" not in dict(answer.headers)


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8"])
def test_it_is_compressed_for_those_who_take_it(get, wheel: bytes, accepted: str) -> None:
    answer = get(APP, plotly_js.PATH, accept_encoding=accepted)
    assert answer.header("content-encoding") == "gzip"
    assert gzip.decompress(answer.body) == wheel
    assert int(answer.header("content-length")) == len(answer.body) < len(wheel) / 2


@pytest.mark.parametrize("accepted", ["identity", "br", ""])
def test_it_is_plain_for_those_who_do_not(get, wheel: bytes, accepted: str) -> None:
    assert get(APP, plotly_js.PATH, accept_encoding=accepted).body == wheel


def test_browsers_and_proxies_may_keep_it_for_ever_each_in_its_encoding(get) -> None:
    answer = get(APP, plotly_js.PATH)
    assert answer.header("cache-control") == "public, max-age=31536000, immutable"
    assert answer.header("vary") == "Accept-Encoding"


def test_another_version_has_another_address() -> None:
    assert plotly_js.address() == f"/plotly.min.js?v={metadata.version('plotly')}"
