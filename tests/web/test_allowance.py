"""What one person may hand in within an hour: as much as anybody needs, and not the room of everybody."""

from __future__ import annotations

import pytest

from dropviz.experiment import SpecError
from dropviz.web import allowance
from dropviz.web.allowance import HOUR, Allowance


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(allowance.time, "monotonic", lambda: now[0])
    return now


def hand_in(given: Allowance, owner: str, size: int) -> None:
    with given.of(owner, size):
        pass


def test_a_person_has_an_hours_share_and_others_have_their_own(clock: list[float]) -> None:
    given = Allowance(most=10_000_000)
    hand_in(given, "ada", 6_000_000)
    clock[0] += HOUR / 2
    hand_in(given, "ada", 4_000_000)
    with pytest.raises(SpecError, match=r"^You handed in 10 MB within an hour, .* takes 10 MB of one person"):
        hand_in(given, "ada", 1)
    hand_in(given, "bob", 10_000_000)
    clock[0] += HOUR / 2 + 1
    hand_in(given, "ada", 6_000_000)  # the first six are over an hour old
    with pytest.raises(SpecError):
        hand_in(given, "ada", 1)


def test_what_was_not_kept_does_not_count(clock: list[float]) -> None:
    given = Allowance(most=5)
    for _ in range(3):
        with pytest.raises(OSError, match="full"), given.of("ada", 5):
            raise OSError("full")
    hand_in(given, "ada", 5)


def test_two_at_once_do_not_pass_together(clock: list[float]) -> None:
    given = Allowance(most=5)
    with given.of("ada", 3), pytest.raises(SpecError), given.of("ada", 3):
        pass


def test_only_so_many_people_are_remembered(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "MOST_PEOPLE", 3)
    given = Allowance(most=5)
    for number in range(10):
        hand_in(given, str(number), 5)
    assert list(given._taken) == ["7", "8", "9"]
