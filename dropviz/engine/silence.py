"""How long others have been silent, by this process's own clock: those of machines differ, and jump."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

Name = TypeVar("Name")


class Silence(Generic[Name]):
    """What each of several things said last, such as the time of its heartbeat, and when that was new here."""

    def __init__(self) -> None:
        self._heard: dict[Name, tuple[float | None, float]] = {}

    def of(self, said: Mapping[Name, float], now: float) -> dict[Name, float]:
        """Seconds for which each has said nothing new. One that is asked for the first time was heard just now.

        Args:
            said: What each says at the moment; who is not among them any more is forgotten.
            now: By a clock of this process that only goes forward.
        """
        heard: dict[Name, tuple[float | None, float]] = {}
        for name, words in said.items():
            before, at = self._heard.get(name, (None, now))
            heard[name] = (words, at if words == before else now)
        self._heard = heard
        return {name: now - at for name, (_, at) in heard.items()}
