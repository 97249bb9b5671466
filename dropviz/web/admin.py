"""Who administers: whoever typed the server's token in this tab. It is never in a URL or a log, and too long to guess."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections import deque

import streamlit as st

from dropviz import logs, settings
from dropviz.web.plain import plain

MOST_LOGGED, AMONG_SECONDS = 20, 60.0  # refusals, of all visitors together
FIELD, SIGNED_IN = "admin token", "administrator"
REFUSED = "This is not the administration token of this server."


def passes(given: str, token: str) -> bool:
    """Whether the right token was given, which counts however many wrong ones came before it.

    A pause after wrong ones hinders nobody who drops the cookie, and one for all visitors lets any of them keep the administrator
    out. So what makes guesses hopeless is the token alone, which has ``settings.SHORTEST_TOKEN`` characters or more.
    """
    return hmac.compare_digest(
        _digest(given), _digest(token)
    )  # of one length, so that time tells nothing of theirs


class Refusals:
    """Logs wrong tokens, but not more than a few in a minute: anybody may type as many as they like, and logs have a disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged: deque[float] = deque(maxlen=MOST_LOGGED)
        self._silent = False

    def note(self, now: float) -> None:
        """One more."""
        with self._lock:
            full = len(self._logged) == MOST_LOGGED and now - self._logged[0] < AMONG_SECONDS
            if not full:
                self._logged.append(now)
                logs.audit("administration refused")
            elif not self._silent:
                logs.audit("administration refused again and again, which is not logged for a while")
            self._silent = full


refusals = Refusals()


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
    if passes(given, token):
        logs.audit("administration begins")
        st.session_state[SIGNED_IN] = _digest(token)
    else:
        refusals.note(time.monotonic())
        st.session_state["admin refusal"] = REFUSED


def _sign_out() -> None:
    st.session_state.pop(SIGNED_IN, None)
    logs.audit("administration ends")


def _digest(token: str) -> str:
    """What a session keeps in the token's place: with another token nobody is signed in any more."""
    return hashlib.sha256(token.encode()).hexdigest()
