"""A page that somebody leaves while its run ends: the board's report of the end must not bring it back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dropviz.experiment import preset
from tests.browser.served import Served

LONG = ['arms=["none"]', "seeds=1", "train.steps=90000", "observe.evaluations=900", "observe.statistics=4"]
BEGINS = ["new_session", "session_status_changed"]  # what a run of the script says first


class Server:
    """What is between a page and its server: either's messages can be kept back, and those of the page are counted."""

    def __init__(self, page: Page) -> None:
        self.sent = 0
        self.holds: Callable[[str], bool] = lambda kind: False
        self.polls_wait = False
        self._held: list[str | bytes] = []
        self._polls: list[Route] = []
        page.route_web_socket("**/_stcore/stream", self._connect)
        page.route("**/live/*", self._poll)

    def hold(self, holds: Callable[[str], bool]) -> None:
        """Keep back what is of a kind, and all that comes after it."""
        self.holds = holds

    def holds_something(self, page: Page) -> bool:
        """Whether anything was kept back by now; a page's messages are only heard while something is asked of it."""
        page.wait_for_timeout(50)
        return bool(self._held)

    def release(self) -> None:
        """What was kept back arrives, and everything else as well."""
        self.holds = lambda kind: False
        held, self._held = self._held, []
        for message in held:
            self._socket.send(message)

    def answer_polls(self) -> None:
        """Let the polls through that wait, and all others."""
        self.polls_wait = False
        for route in self._polls:
            route.continue_()

    def _connect(self, socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        self._socket = socket

        def up(message: str | bytes) -> None:
            self.sent += 1
            server.send(message)

        def down(message: str | bytes) -> None:
            assert isinstance(message, bytes)
            if self._held or self.holds(ForwardMsg.FromString(message).WhichOneof("type") or ""):
                self._held.append(message)
            else:
                socket.send(message)

        socket.on_message(up)
        server.on_message(down)

    def _poll(self, route: Route) -> None:
        if self.polls_wait:
            self._polls.append(route)
        else:
            route.continue_()


@pytest.fixture
def view_id(served: Served) -> Iterator[str]:
    """A run that goes on until it is stopped, of this test alone."""
    found = served.store.submit(preset("noisy-digits").with_settings(LONG), fresh=True)
    yield found
    served.store.request(found, "stop")


@pytest.fixture
def server(page: Page, served: Served, view_id: str) -> Server:
    """What the page of that run, which is open, hears of its server."""
    found = Server(page)
    page.goto(f"{served.url}/curvature?run={view_id}")
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "running")
    return found


def stop(served: Served, view_id: str) -> None:
    served.store.request(view_id, "stop")
    served.wait_until(lambda: served.store.experiment(view_id).state == "stopped", "the run is stopped")


def leave(page: Page) -> None:
    page.get_by_role("button", name="This run in the Lab").click()


def stays_away(page: Page, server: Server, before: int) -> None:
    """Whether the board, which knows of the end, says nothing for two polls more, and the other page comes."""
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "stopped")
    page.wait_for_timeout(2500)
    assert server.sent - before == 1, "more than the press was sent"
    server.release()
    expect(page.locator("[data-chart=ladder]")).to_be_visible()
    assert "/lab" in page.url
    expect(page.get_by_role("button", name=re.compile("^Stop"))).to_be_disabled()


def test_a_run_that_ends_as_its_page_is_left_does_not_bring_it_back(
    page: Page, served: Served, view_id: str, server: Server
) -> None:
    server.polls_wait = True
    stop(served, view_id)
    server.hold(lambda kind: True)
    before = server.sent
    leave(page)
    server.answer_polls()
    stays_away(page, server, before)


def test_a_run_that_ends_while_the_other_page_is_drawn_does_not_bring_its_own_back(
    page: Page, served: Served, view_id: str, server: Server
) -> None:
    server.hold(lambda kind: kind not in BEGINS)
    before = server.sent
    leave(page)
    served.wait_until(lambda: server.holds_something(page), "the other page is on its way")
    stop(served, view_id)
    stays_away(page, server, before)
