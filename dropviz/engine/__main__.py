"""``python -m dropviz.engine``: the dispatcher with the local engine. On SQLite one process a store, on PostgreSQL any number."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from dropviz import settings
from dropviz.engine import lock
from dropviz.engine.dispatcher import Dispatcher
from dropviz.engine.lifeline import exit_when_closed
from dropviz.engine.local import LocalEngine
from dropviz.store import Store


def main() -> int:
    """Serve the store until SIGTERM, SIGINT, or the end of the process that holds the lifeline."""
    parser = argparse.ArgumentParser(
        prog="python -m dropviz.engine", description="Run queued jobs in child processes."
    )
    parser.add_argument(
        "--lifeline", type=int, metavar="FD", help="end when this pipe is closed at its other end"
    )
    options = parser.parse_args()
    if options.lifeline is not None:
        exit_when_closed(options.lifeline)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s engine: %(message)s", datefmt="%H:%M:%S")
    try:
        lock.acquire()
        store = Store.open()
        engine = LocalEngine(settings.store_url())
        settings.device(), settings.step_seconds()
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    # The fork server inherits it: threads that sleep while they wait leave the cores to whoever has work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    engine.warm()
    Dispatcher(store, engine).run(stopping)
    return 0


if __name__ == "__main__":
    sys.exit(main())
