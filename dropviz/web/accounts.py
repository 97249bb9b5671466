"""Whether this server has accounts, by the files of Streamlit's secrets, and what holds while nobody can tell.

Streamlit takes a file that it cannot read for one that is not there. Here it closes what a section ``[auth]`` would close.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from typing import Literal

from streamlit import config
from streamlit.errors import StreamlitSecretNotFoundError
from streamlit.runtime.secrets import secrets_singleton

State = Literal["none", "on", "unknown"]

LOOK_SECONDS = 1.0  # the files are not looked at for every poll
LOST = (
    "The secrets of this server had a section [auth], and have none: nothing is shown until it is there again. To serve"
    " without accounts, start dropviz serve anew."
)

logger = logging.getLogger(__name__)


def found() -> bool:
    """Whether the secrets have a section ``[auth]``, be it empty.

    Raises:
        ValueError: A file of them is there and cannot be read.
    """
    try:
        return "auth" in secrets_singleton.to_dict()
    except StreamlitSecretNotFoundError as error:
        if error.error_id == "no-secrets-found":
            return False
        reason = str(error)
    except UnicodeDecodeError:
        reason = f"one of {', '.join(config.get_option('secrets.files'))} is not text in UTF-8"
    except OSError as error:
        reason = str(error)
    raise ValueError(
        f"The secrets of this server cannot be read ({reason}), so nobody can tell whether its pages are for accounts alone:"
        " mend the file, or delete it."
    )


class Watch:
    """What the secrets say from one look to the next. What they closed stays closed when they are lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._state: State = "none"
        self._were_on = False
        self._problem = ""

    def state(self, now: float) -> State:
        """``unknown`` while they cannot be read, or lack the accounts that there were."""
        with self._lock:
            if now - self._looked_at >= LOOK_SECONDS:
                self._looked_at = now
                self._look()
            return self._state

    def _look(self) -> None:
        problem, on = "", False
        try:
            on = found()
        except ValueError as error:
            problem = str(error)
        if self._were_on and not on:
            problem = problem or LOST
        self._were_on = self._were_on or on
        self._state = "unknown" if problem else "on" if on else "none"
        if problem and problem != self._problem:
            logger.error("%s", problem)
        elif self._problem and not problem:
            logger.info("the secrets can be read again")
        self._problem = problem


watch = Watch()


def state() -> State:
    """Whether this server has accounts; ``unknown`` closes what ``on`` closes, for everybody."""
    return watch.state(time.monotonic())


def _tell() -> None:
    """What another process wants to know that must not load Streamlit, as JSON; so without the threads that watch the files."""
    try:
        told = {"on": found(), "problem": ""}
    except ValueError as error:
        told = {"on": False, "problem": str(error)}
    print(json.dumps(told), flush=True)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    _tell()
