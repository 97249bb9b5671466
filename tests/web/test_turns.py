"""Scripts wait for each other, but not for ever."""

from __future__ import annotations

import threading

import pytest

from dropviz.web.turns import turn


def test_a_third_waits_until_one_of_two_has_ended() -> None:
    turns, order = threading.Semaphore(2), list[str]()
    begun, go_on = threading.Barrier(3), threading.Event()

    def draw(name: str) -> None:
        with turn(turns, patience=60):
            begun.wait(60)
            go_on.wait(60)
            order.append(name)

    def draw_late() -> None:
        with turn(turns, patience=60):
            order.append("third")

    early = [threading.Thread(target=draw, args=(name,)) for name in ("first", "second")]
    for one in early:
        one.start()
    begun.wait(60)
    late = threading.Thread(target=draw_late)
    late.start()
    assert order == []
    go_on.set()
    for one in [*early, late]:
        one.join(60)
    assert sorted(order) == ["first", "second", "third"]


def test_who_has_waited_long_enough_goes_and_takes_nobodys_turn() -> None:
    turns = threading.Semaphore(1)
    with turn(turns), turn(turns, patience=0.0):
        assert not turns.acquire(blocking=False)
    assert turns.acquire(blocking=False)
    assert not turns.acquire(blocking=False)


def test_a_script_that_fails_gives_its_turn_back() -> None:
    turns = threading.Semaphore(1)
    with pytest.raises(KeyError), turn(turns):
        raise KeyError
    assert turns.acquire(blocking=False)
