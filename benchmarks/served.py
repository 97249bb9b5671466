"""A real ``dropviz serve`` on a free port of this machine, and the clocks of its processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import wait_until
from dropviz.engine.lifeline import death_signal

STARTING_SECONDS = 180.0
ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def server(folder: Path) -> Iterator[tuple[int, int]]:
    """``dropviz serve`` on a free port; yields the port and the process that serves the page."""
    port = _free_port()
    command = [sys.executable, "-m", "dropviz", "serve", "--port", str(port)]
    with (folder / "serve.log").open("wb") as log:
        serve = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, preexec_fn=death_signal())
    page = None
    try:
        wait_until(lambda: serve.poll() is not None or _answers(port), "the server answers", STARTING_SECONDS)
        page = _page_of(serve.pid)
        yield port, page
    finally:
        serve.terminate()
        try:
            serve.wait(20)
        except subprocess.TimeoutExpired:
            serve.kill()
            serve.wait()
        if page is not None:
            wait_until(lambda: not Path(f"/proc/{page}").exists(), "the page's process has ended")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _page_of(parent: int) -> int:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat, command = (entry / "stat").read_text(encoding="utf-8"), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == parent and b"streamlit" in command:
            return int(entry.name)
    raise RuntimeError("dropviz serve started no page: see its messages")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads.

    Linux has a clock for every process, with the resolution of its scheduler; /proc/PID/stat, the same sum in
    hundredths of a second, is too coarse for one viewer's few refreshes and serves where there is no such clock.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
