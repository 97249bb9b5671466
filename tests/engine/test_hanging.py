"""An engine that lives and does not turn: seen by its silence, replaced, and nobody's run the worse for it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropviz.engine import EngineKeeper, launch, pulse
from dropviz.engine.pulse import Beating, Pulse
from dropviz.experiment import preset
from tests.houses import House, family_of, is_alive, open_house, wait_until

SMALL_AND_LONG = [
    'arms=["dropout"]',
    "seeds=1",
    "train.steps=400000",
    "model.widths=[8]",
    "observe.statistics=0",
]


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Pulse, Beating, list[float]]]:
    """Both ends of a pulse, and the clock that its listener reads."""
    clock = [100.0]
    monkeypatch.setattr(pulse.time, "monotonic", lambda: clock[0])
    heard = Pulse()
    yield heard, Beating(heard.write_end), clock
    heard.close()


def test_silence_begins_with_the_first_beat_and_ends_with_the_next(
    listening: tuple[Pulse, Beating, list[float]],
) -> None:
    heard, turning, clock = listening
    clock[0] += 1.5
    assert heard.silence() == 0.0  # somebody who starts may take any time
    turning.beat()
    assert heard.silence() == 0.0
    for _ in range(3):
        clock[0] += 1.5
        heard.silence()
    assert heard.silence() == 4.5
    turning.beat()
    assert heard.silence() == 0.0


def test_a_listener_that_stood_still_blames_nobody(listening: tuple[Pulse, Beating, list[float]]) -> None:
    heard, turning, clock = listening
    turning.beat()
    heard.silence()
    clock[0] += 3600.0
    assert heard.silence() == pulse.LONGEST_LOOK


def test_a_pipe_that_nobody_empties_stops_nobody() -> None:
    heard = Pulse()
    turning = Beating(heard.write_end)
    for _ in range(100_000):  # more than a pipe holds
        turning.beat()
    assert heard.silence() == 0.0
    heard.close()
    Beating(None).beat()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    opened = open_house(tmp_path / "data")
    for name in ("DROPVIZ_STORE", "DROPVIZ_SUPERVISED", "DROPVIZ_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DROPVIZ_DATA", "DROPVIZ_DEVICE", "DROPVIZ_SLOTS"):
        monkeypatch.setenv(name, opened.environment[name])
    yield opened
    opened.store.close()


def test_an_engine_that_hangs_is_replaced_and_its_run_goes_on(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(launch, "HANGING_SECONDS", 10.0)
    keeper = EngineKeeper(log=subprocess.DEVNULL)
    keeper.keep()
    try:
        view_id = house.store.submit(preset("noisy-digits").with_settings(SMALL_AND_LONG))
        child = house.running_pid(view_id)
        (hanging,) = [worker.pid for worker in house.store.workers()]
        with caplog.at_level(logging.ERROR):
            os.kill(hanging, signal.SIGSTOP)
            first = house.job(view_id).attempt
            wait_until(
                lambda: house.job(view_id).attempt > first and house.job(view_id).pid, "taken up again"
            )
        assert not is_alive(hanging)
        assert not is_alive(child)
        assert "the engine hung" in caplog.text
        house.store.request(view_id, "stop")
        assert house.finish(view_id) == "stopped"
    finally:
        keeper.close()


KEPT = """
from dropviz.cli import main
from dropviz.engine import launch

launch.HANGING_SECONDS = 10.0
main(["engine"])
"""


@pytest.mark.slow
def test_the_command_replaces_an_engine_that_hangs_and_takes_it_along_when_it_is_killed(house: House) -> None:
    command = house.start("-c", KEPT)
    wait_until(lambda: house.store.workers(), "an engine works")
    (hanging,) = [worker.pid for worker in house.store.workers()]
    assert hanging in family_of(command.pid) - {command.pid}
    view_id = house.store.submit(preset("noisy-digits").with_settings(SMALL_AND_LONG))
    child = house.running_pid(view_id)
    os.kill(hanging, signal.SIGSTOP)
    first = house.job(view_id).attempt
    wait_until(lambda: house.job(view_id).attempt > first and house.job(view_id).pid, "taken up again")
    assert not is_alive(hanging)
    assert not is_alive(child)
    others = family_of(command.pid)
    command.kill()
    command.communicate(timeout=20)
    wait_until(lambda: not any(is_alive(pid) for pid in others), "nothing is left behind")


def test_the_command_ends_in_order_by_a_signal(house: House) -> None:
    command = house.start("-m", "dropviz.cli", "engine")
    wait_until(lambda: house.store.workers(), "an engine works")
    others = family_of(command.pid)
    command.terminate()
    _, said = command.communicate(timeout=30)
    assert command.returncode == 0, said
    assert not any(is_alive(pid) for pid in others)


def test_the_command_ends_as_its_engine_does(house: House) -> None:
    first = house.start("-m", "dropviz.cli", "engine")
    wait_until(lambda: house.store.workers(), "an engine works")
    second = house.start("-m", "dropviz.cli", "engine")
    _, said = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "An engine serves" in said
    (engine,) = [worker.pid for worker in house.store.workers()]
    os.kill(engine, signal.SIGKILL)
    _, said = first.communicate(timeout=30)
    assert first.returncode == 1
    assert "the engine was killed" in said
