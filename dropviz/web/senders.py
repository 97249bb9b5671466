"""Who sends a request, and how often they may: many at once, as a page does that is opened, and so many a second after that."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, cookie_parser
from starlette.responses import JSONResponse, Response

from dropviz.web import login
from dropviz.web.visitor import known_visitor

MOST_SENDERS = 10_000  # that are remembered


def owner(headers: Headers) -> str:
    """The id of the account, else of the browser, that sends a request; empty for who sends neither."""
    cookies = headers.get("cookie", "")
    found = login.account(cookie_parser(cookies)) if login.required() else known_visitor(cookies)
    return found or ""


def sender(request: HTTPConnection) -> str:
    """The same, else the address that it comes from: all who send no cookie from there are one."""
    return owner(request.headers) or f"at {request.client.host if request.client else ''}"


class Pace:
    """A bucket of requests for each sender, which fills at a steady rate; safe to share between threads.

    Args:
        burst: Requests that a full one holds.
        rate: Requests a second.
        clock: Seconds that never run backwards.
    """

    def __init__(self, burst: int, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.burst, self.rate, self._clock = burst, rate, clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # sender → requests, and when

    def wait(self, sender: str) -> float:
        """Take a request out of a sender's bucket; 0 where there was one, else the seconds until there is."""
        with self._lock:
            now = self._clock()
            left, since = self._left.pop(sender, (float(self.burst), now))
            left = min(self.burst, left + self.rate * (now - since))
            is_there = left >= 1
            self._left[sender] = (left - is_there, now)
            self._forget(now)
        return 0.0 if is_there else (1 - left) / self.rate

    def _forget(self, now: float) -> None:
        """Those who asked longest ago: all whose bucket is full again, as that of somebody new is, and more where there are too many."""
        while self._left:
            left, since = next(iter(self._left.values()))
            is_full = left + self.rate * (now - since) >= self.burst
            if not is_full and len(self._left) <= MOST_SENDERS:
                return
            self._left.popitem(last=False)

    def refusal(self, request: HTTPConnection) -> Response | None:
        """The answer to who asks too often; None where the request may go on."""
        seconds = math.ceil(self.wait(sender(request)))
        if not seconds:
            return None
        text = (
            f"You ask for more than this server gives one person: {self.burst:,} such answers at once, and {self.rate:g} a second"
            f" after that. Wait {seconds:,} s and ask again."
        )
        return JSONResponse({"error": text}, 429, {"Cache-Control": "no-store", "Retry-After": str(seconds)})
