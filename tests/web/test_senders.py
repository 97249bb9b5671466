"""How often one sender may ask: the bucket beside its rule, who is one sender, and the routes that have one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from dropviz.store import Store
from dropviz.web import live, senders
from dropviz.web.senders import Pace, sender
from dropviz.web.visitor import COOKIE

BURST, RATE = 5, 0.5


def allowed(times: list[float]) -> list[bool]:
    """The rule: in no span of time more than the burst, and the rate times the length of the span."""
    taken: list[float] = []
    found = []
    for now in times:
        spans = [(since, sum(since <= one for one in taken) + 1) for since in (*taken, now)]
        fits = all(count <= BURST + RATE * (now - since) for since, count in spans)
        taken += [now] * fits
        found.append(fits)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_bucket_keeps_to_the_burst_and_the_rate_and_says_how_long_to_wait(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = np.cumsum(random.choice([0, 0, 0.25, 0.5, 1, 8], 300)).tolist()  # of which floats hold every sum
    now = [0.0]
    pace = Pace(BURST, RATE, clock=lambda: now[0])
    found = []
    for now[0] in times:
        seconds = pace.wait("somebody")
        found.append(seconds == 0)
        if seconds:
            other = Pace(1, RATE, clock=lambda: now[0])
            assert other.wait("somebody") == 0
            assert 0 < seconds <= 1 / RATE
    assert found == allowed(times)
    assert 50 < sum(found) < 250


def test_after_the_wait_that_is_said_there_is_one_and_no_more() -> None:
    now = [100.0]
    pace = Pace(BURST, RATE, clock=lambda: now[0])
    while not (seconds := pace.wait("somebody")):
        pass
    now[0] += seconds
    assert [pace.wait("somebody") == 0 for _ in range(2)] == [True, False]
    assert pace.wait("another") == 0


def test_only_so_many_senders_are_remembered_and_those_who_came_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "MOST_SENDERS", 3)
    pace = Pace(1, RATE, clock=lambda: 0.0)
    assert [pace.wait(name) == 0 for name in "abcaadb"] == [True, True, True, False, False, True, True]
    assert len(pace._left) == 3


def test_who_has_not_asked_for_as_long_as_a_bucket_takes_to_fill_is_forgotten() -> None:
    now = [0.0]
    pace = Pace(BURST, RATE, clock=lambda: now[0])
    for name in "aab":
        pace.wait(name)
    now[0] = 1 / RATE
    pace.wait("c")
    assert list(pace._left) == ["a", "b", "c"]  # a has taken two
    now[0] = 2 / RATE
    pace.wait("c")
    assert list(pace._left) == ["c"]


def request(address: str, cookie: str = "") -> HTTPConnection:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    return HTTPConnection({"type": "http", "headers": headers, "client": (address, 1234)})


def test_a_browser_is_one_sender_anywhere_and_who_sends_no_cookie_is_an_address() -> None:
    mine, other = (f"{COOKIE}={digit * 32}" for digit in "ab")
    assert sender(request("10.0.0.1", mine)) == sender(request("10.0.0.2", mine)) == "a" * 32
    assert sender(request("10.0.0.1", mine)) != sender(request("10.0.0.1", other))
    for none in ("", "other=1", f"{COOKIE}=nonsense"):
        assert sender(request("10.0.0.1", none)) == "at 10.0.0.1"


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("pace", "path", "other"),
    [("ARRAYS_PACE", "/arrays/{}/slice/3", "/live/{}"), ("LIVE_PACE", "/live/{}", "/arrays/{}/slice/3")],
)
def test_a_data_route_has_a_pace_of_its_own(
    store: Store, get, spec, monkeypatch: pytest.MonkeyPatch, pace: str, path: str, other: str
) -> None:
    app = Starlette(routes=[live.array_route, live.route])
    view_id = store.submit(spec)
    path, other = path.format(view_id), other.format(view_id)
    usual = get(app, path).status
    monkeypatch.setattr(live, pace, Pace(burst=2, rate=0.001))
    sent = {"cookie": f"{COOKIE}={'a' * 32}"}
    assert [get(app, path, **sent).status for _ in range(3)] == [usual, usual, 429]
    refused = get(app, path, **sent)
    assert int(refused.header("retry-after")) <= 1000
    assert "Wait 1,000 s and ask again." in json.loads(refused.body)["error"]
    assert get(app, path).status == usual
    assert get(app, other, **sent).status in (200, 404)
