"""``dropviz serve``: the engine and the page, each restarted when it dies, both gone when this process is."""

from __future__ import annotations

import json
import logging
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

from dropviz import logs, settings
from dropviz.budget import Budget
from dropviz.engine import EngineKeeper
from dropviz.engine.launch import SUPERVISED
from dropviz.engine.lifeline import death_signal
from dropviz.engine.stopping import stop_signals
from dropviz.store import Store

LOOK_SECONDS = 0.2
EARLY_SECONDS, LONGEST_PAUSE = 30.0, 10.0
PATIENCE_SECONDS = 5.0

# Each look at a page is a thread, and what a thread frees stays in its arena of glibc's: one arena is filled again soonest.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}

# Who has a page open takes five of them, and each of the last 128 pages that were left three; shells and systemd give 1,024 by default.
OPEN_FILES = 8192

logger = logging.getLogger(__name__)


def serve(host: str, port: int) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code.

    Raises:
        ValueError: app.py is not there, the port is taken, or the store, a setting or the secrets are not usable.
    """
    script = find_app()
    _check_port(host, port)
    settings.check((*settings.FOR_WORK, *settings.FOR_PAGES))
    Budget.from_environment()
    has_accounts(script.parent)
    Store.open().close()
    logs.configure("serve")
    _allow_files()
    with stop_signals() as stopping:
        keeper, page = EngineKeeper(log=sys.stderr.fileno()), _Page(script, host, port)
        try:
            while not stopping.is_set():
                try:
                    keeper.ensure()
                    page.ensure()
                except OSError as error:  # no memory, no process or no disk left may pass
                    logger.warning("%s; it is tried again", error)
                    stopping.wait(1.0)
                stopping.wait(LOOK_SECONDS)
        finally:
            page.close()
            keeper.close()
    return 0


def find_app() -> Path:
    """The script that streamlit runs: app.py, beside the package.

    Raises:
        ValueError: It is not there.
    """
    path = Path(__file__).resolve().parents[2] / "app.py"
    if not path.is_file():
        raise ValueError(
            f"{path} is not there: install DropViz from its repository with pip install -e . and serve that."
        )
    return path


def has_accounts(folder: Path) -> bool:
    """Whether pages that are served there are for accounts alone. A process of its own looks, so that this one loads no Streamlit.

    Raises:
        ValueError: The secrets that would say so cannot be read.
    """
    command = [sys.executable, "-m", "dropviz.web.accounts"]
    # Secrets are looked for where Streamlit is started, as its settings are.
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise ValueError(f"Streamlit cannot be started ({reason}): install what requirements.txt names.")
    told = json.loads(done.stdout.splitlines()[-1])
    if told["problem"]:
        raise ValueError(told["problem"])
    return bool(told["on"])


class _Page:
    """The streamlit process. The kernel ends it with us, so that a kill -9 leaves nothing behind."""

    def __init__(self, script: Path, host: str, port: int) -> None:
        options = {"server.address": host, "server.port": port, "server.headless": "true"}
        self.command = [sys.executable, "-m", "streamlit", "run", str(script)]
        self.command += [part for key, value in options.items() for part in (f"--{key}", str(value))]
        self.folder = script.parent  # streamlit reads .streamlit/config.toml where it is started
        self.process: subprocess.Popen[bytes] | None = None
        self._started_at, self._pause = float("-inf"), 0.0

    def ensure(self) -> None:
        """Start it, or start it again if it died, after a growing pause."""
        if self.process is not None and self.process.poll() is None:
            return
        lived = time.monotonic() - self._started_at
        if lived < self._pause:
            return
        if self.process is not None:
            logger.warning(
                "the page ended; starting it again", extra=logs.of(exit_code=self.process.returncode)
            )
        self._pause = 0.5 if lived > EARLY_SECONDS else min(LONGEST_PAUSE, max(0.5, 2 * self._pause))
        # The thread that starts it must live as long as we do: this is the main thread.
        self.process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=ONE_ARENA | os.environ | {SUPERVISED: "1"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=death_signal(),  # safe: no other thread runs here, and it only calls prctl
        )
        self._started_at = time.monotonic()

    def close(self) -> None:
        """End it in order, and by force if it takes long."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _allow_files() -> None:
    """Let the page have as many files open as a full class takes, where the system lets anybody have more than they are given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or error
            raise ValueError(
                f"Port {port} on {host} cannot be used ({reason}): choose another with --port."
            ) from None
