"""The real server in a data directory of its own, and a headless Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, Playwright

from dropviz.store import Store
from tests.houses import free_port

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
ARGUMENTS += ["--disable-sync", "--no-first-run"]
PATIENCE = 120.0


def answers(port: int) -> bool:
    """Whether a page's server says that it is well."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class Served:
    """A running ``dropviz serve``, by default at a free port and without further environment."""

    def __init__(self, folder: Path, port: int | None = None, **environment: str) -> None:
        self.folder, self.port = folder, port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("DROPVIZ_")}
        own = {"DROPVIZ_DATA": str(folder), "DROPVIZ_DEVICE": "cpu", "DROPVIZ_SLOTS": "1"}
        command = [sys.executable, "-m", "dropviz", "serve", "--port", str(self.port)]
        self.log = (folder / "serve.log").open("wb")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=inherited | own | environment, stdout=self.log, stderr=self.log
        )
        try:
            self.wait_until(self.healthy, "the server answers")
        except BaseException:
            self._end()
            raise
        self.store = Store.open(folder / "dropviz.db")

    def healthy(self) -> bool:
        """Whether the page's server answers."""
        return answers(self.port)

    def wait_until(self, condition: object, what: str, seconds: float = PATIENCE) -> None:
        """Wait for a condition; fail when it takes far longer than it needs."""
        deadline = time.monotonic() + seconds
        while not condition():  # type: ignore[operator]
            text = (self.folder / "serve.log").read_text(errors="replace")
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain until {what}\n{text}"
            assert self.process.poll() is None, f"the server ended\n{text}"
            time.sleep(0.05)

    def page_process(self) -> int:
        """The process id of the Streamlit server."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == self.process.pid and b"streamlit" in command:
                return int(entry.name)
        raise AssertionError("there is no page process")

    def close(self) -> None:
        """End it as a person would, with Ctrl-C."""
        self.store.close()
        self._end()

    def _end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def until(page: Page, condition: str, seconds: float = 30.0) -> None:
    """Wait until an expression holds in a page. Playwright's own way needs ``eval`` in the page, which our pages forbid."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(Error):  # the page is on its way to another address
            if page.evaluate(condition):
                return
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {condition}"
        page.wait_for_timeout(50)


@contextmanager
def serving(folder: Path, port: int | None = None, **environment: str) -> Iterator[Served]:
    """Serve from a folder for the length of a block."""
    folder.mkdir(parents=True, exist_ok=True)
    served = Served(folder, port, **environment)
    try:
        yield served
    finally:
        served.close()


def launch(playwright: Playwright) -> Browser:
    """A headless Chromium that asks nothing of the network."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
