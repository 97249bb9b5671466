"""Signals that ask for the end, many at once: whoever is asked ends, and waits for nothing of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from dropviz.engine.stopping import Stopping, stop_signals
from tests.houses import House, is_alive, wait_until

# It waits as a server does, and goes on for two seconds, asked or not, so that signals meet it everywhere.
ASKED = """
import time
from dropviz.engine.stopping import stop_signals
with stop_signals() as stopping:
    print("here", flush=True)
    until = time.monotonic() + 2
    while time.monotonic() < until or not stopping.is_set():
        stopping.wait(0.001)
    print("asked", flush=True)
"""


def test_a_hail_of_signals_stops_it_and_is_survived() -> None:
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", ASKED], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        until = time.monotonic() + 0.8
        while time.monotonic() < until:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            time.sleep(0.0002)  # the handlers of faster ones would be stacked higher than Python can
        try:
            said, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (said, process.returncode) == ("asked\n", 0)


def test_an_engine_that_is_told_many_times_at_once_ends_as_if_told_once(house: House) -> None:
    engine = house.start("-m", "dropviz.engine")
    wait_until(lambda: house.store.workers(), "it serves")
    for _ in range(20):
        engine.send_signal(signal.SIGTERM)
    engine.communicate(timeout=20)
    assert not is_alive(engine.pid)
    assert house.store.workers() == []


def test_handlers_are_as_before_after_the_block_and_a_wait_ends_at_once_when_asked() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals() as stopping:
        assert not stopping.wait(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.wait(60)
        assert stopping.is_set()
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_may_be_set_any_number_of_times() -> None:
    stopping = Stopping()
    for _ in range(100_000):  # more than a pipe holds
        stopping.set()
    assert stopping.wait(0)
    stopping.close()
