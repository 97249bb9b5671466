"""The viewers of one experiment, as a process: ``python -m benchmarks.poller PORT VIEW_ID VIEWERS SECONDS``.

Each viewer holds a connection to 127.0.0.1 and asks once a second for what is new, as the page does; the
viewers' moments are spread over the second. It prints ``ready`` when everybody has the run's past, waits for a
line, and prints its findings as JSON at the end.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection

TIMEOUT_SECONDS = 10.0


@dataclass
class Viewer:
    """A connection and what its page has seen."""

    connection: HTTPConnection
    path: str
    cursor: str = ""

    def refresh(self) -> int:
        """Ask for what is new; returns the size of the answer in bytes.

        Raises:
            RuntimeError: The server refuses.
        """
        self.connection.request("GET", f"{self.path}?page=lab&cursor={self.cursor}")
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {body[:200]!r}")
        self.cursor = json.loads(body)["cursor"]
        return len(body)


def main(port: int, view_id: str, viewers: int, seconds: int) -> None:
    """Watch for so many seconds."""
    watching = [
        Viewer(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS), f"/live/{view_id}")
        for _ in range(viewers)
    ]
    for viewer in watching:
        viewer.refresh()
    print("ready", flush=True)
    sys.stdin.readline()
    sizes, waits, started = [], [], time.perf_counter()
    for turn in range(seconds):
        for place, viewer in enumerate(watching):
            time.sleep(max(0.0, started + turn + place / viewers - time.perf_counter()))
            asked = time.perf_counter()
            sizes.append(viewer.refresh())
            waits.append(time.perf_counter() - asked)
    time.sleep(max(0.0, started + seconds - time.perf_counter()))
    print(json.dumps({"sizes": sizes, "waits": waits}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
