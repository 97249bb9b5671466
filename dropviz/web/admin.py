"""Who administers: whoever typed the server's token in this tab. It is never in a URL or a log, and guessing is slowed down."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections import OrderedDict, deque

import streamlit as st

from dropviz import logs, settings
from dropviz.web.plain import plain
from dropviz.web.visitor import visitor

LONGEST_WAIT = 300.0
FORGOTTEN_SECONDS = 900.0
MOST_VISITORS = (
    1000  # that are remembered; a visitor who drops the cookie is new, which the limit on all is for
)
MOST_FAILURES, AMONG_SECONDS = 20, 60.0  # of all visitors together
FIELD, SIGNED_IN = "admin token", "administrator"


class Gate:
    """Lets the right token pass, and makes who gave a wrong one wait: 1, 2, 4, … seconds, and all when many are wrong."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and when the last was
        self._latest: deque[float] = deque(maxlen=MOST_FAILURES)

    def refusal(self, who: str, given: str, token: str, now: float) -> str:
        """Why a token does not pass, as a sentence; empty where it does."""
        with self._lock:
            wait = self._wait(who, now)
            if wait > 0:
                return f"Wrong tokens were typed: try again in {wait:.0f} s."
            if hmac.compare_digest(given.encode(), token.encode()):
                self._failures.pop(who, None)
                return ""
            self._failures[who] = (self._count(who, now) + 1, now)
            self._failures.move_to_end(who)
            while len(self._failures) > MOST_VISITORS:
                self._failures.popitem(last=False)
            self._latest.append(now)
            return "This is not the administration token of this server."

    def _count(self, who: str, now: float) -> int:
        count, last = self._failures.get(who, (0, now))
        return count if now - last < FORGOTTEN_SECONDS else 0

    def _wait(self, who: str, now: float) -> float:
        """Seconds, of which at least one is shown."""
        count, last = self._count(who, now), self._failures.get(who, (0, now))[1]
        own = last + min(LONGEST_WAIT, 2.0 ** (count - 1)) - now if count else 0.0
        full = len(self._latest) == MOST_FAILURES
        everybodys = self._latest[0] + AMONG_SECONDS - now if full else 0.0
        wait = max(own, everybodys)
        return max(1.0, wait) if wait > 0 else 0.0


gate = Gate()


def is_admin() -> bool:
    """Whether this tab's visitor typed the token that the server has now; a reload of the tab signs out."""
    try:
        token = settings.admin_token()
    except ValueError:
        return False
    signed_in = st.session_state.get(SIGNED_IN)
    return token is not None and signed_in is not None and hmac.compare_digest(signed_in, _digest(token))


def section() -> None:
    """Signing in and out, or how to have administration at all."""
    st.header("Administration")
    try:
        token = settings.admin_token()
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/key_off:")
        return
    if token is None:
        st.caption(
            "Nobody administers this server. Start it with `DROPVIZ_ADMIN_TOKEN` set (at least"
            f" {settings.SHORTEST_TOKEN} characters) to see and stop everybody's runs here."
        )
    elif is_admin():
        st.success("You administer this server in this tab.", icon=":material/admin_panel_settings:")
        st.button("Sign out", on_click=_sign_out)
    else:
        _sign_in_form()


def _sign_in_form() -> None:
    with st.form("administration", border=False):
        st.text_input(
            "Administration token",
            key=FIELD,
            type="password",
            autocomplete="current-password",
            width=420,
            max_chars=1000,
            help="What `DROPVIZ_ADMIN_TOKEN` holds on the server.",
        )
        st.form_submit_button("Sign in", on_click=_sign_in)
    if refusal := st.session_state.pop("admin refusal", ""):
        st.error(refusal, icon=":material/block:")


def _sign_in() -> None:
    token, given = settings.admin_token(), st.session_state.get(FIELD, "")
    st.session_state[FIELD] = ""  # it is kept nowhere
    if token is None or not given:
        return
    refusal = gate.refusal(visitor(), given, token, time.monotonic())
    if refusal:
        logs.audit("administration refused")
        st.session_state["admin refusal"] = refusal
    else:
        logs.audit("administration begins")
        st.session_state[SIGNED_IN] = _digest(token)


def _sign_out() -> None:
    st.session_state.pop(SIGNED_IN, None)
    logs.audit("administration ends")


def _digest(token: str) -> str:
    """What a session keeps in the token's place: with another token nobody is signed in any more."""
    return hashlib.sha256(token.encode()).hexdigest()
