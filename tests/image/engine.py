"""Docker's own engine, from Debian's package, for the length of a block."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.image.build import DOCKER, ROOT

COMPOSE = str(Path(sys.executable).with_name("docker-compose"))


@contextmanager
def engine() -> Iterator[None]:
    """Run dockerd in the namespaces that this process has for itself; its sockets are in a /run of their own."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "run", "/run"], check=True)
    shutil.rmtree(
        DOCKER, ignore_errors=True
    )  # a run that was killed leaves containers that would start again
    DOCKER.mkdir(parents=True)
    with (DOCKER / "dockerd.log").open("w") as log:
        daemon = subprocess.Popen(["dockerd", "--data-root", str(DOCKER / "root")], stdout=log, stderr=log)
        try:
            until(lambda: done("info"), "Docker's engine answers", 60)
            yield
        except BaseException:
            for container in docker("ps", "--all", "--format", "{{.Names}}").split():
                said = subprocess.run(
                    ["docker", "logs", "--tail", "20", container], capture_output=True, text=True
                )
                print(f"--- {container}: {state(container)}\n{said.stdout}{said.stderr}", file=sys.stderr)
            raise
        finally:
            daemon.terminate()
            daemon.wait(60)


def docker(*arguments: str) -> str:
    """Run a command of docker's; what it printed.

    Raises:
        AssertionError: It failed.
    """
    return finished(["docker", *arguments])


def compose(*arguments: str, file: str = "compose.yaml", **environment: str) -> str:
    """The same of docker compose, with a file of this project."""
    return finished([COMPOSE, "-f", str(ROOT / file), *arguments], **environment)


def finished(command: list[str], **environment: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stdout}{ended.stderr}"
    return ended.stdout.strip()


def done(*arguments: str) -> bool:
    """Whether a command of docker's succeeds."""
    return subprocess.run(["docker", *arguments], capture_output=True).returncode == 0


def state(container: str) -> dict[str, Any]:
    """What docker says of a container: Status, Health, ExitCode, …"""
    return json.loads(docker("inspect", "--format", "{{json .State}}", container))


def until(condition: Callable[[], bool], what: str, seconds: float = 180.0) -> float:
    """Wait for it; how many seconds that took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.05)
    return time.monotonic() - begun
