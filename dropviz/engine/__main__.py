"""``python -m dropviz.engine``: the dispatcher with the local engine. On SQLite one process a store, on PostgreSQL any number."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING

from dropviz import logs, settings
from dropviz.engine import lock
from dropviz.engine.dispatcher import Dispatcher
from dropviz.engine.holder import watch
from dropviz.engine.lifeline import exit_when_closed
from dropviz.engine.local import LocalEngine
from dropviz.engine.pulse import Beating
from dropviz.engine.stopping import Stopping, stop_signals
from dropviz.memory import freeze_what_stays
from dropviz.store import Store

if TYPE_CHECKING:
    from dropviz.engine.cluster.engine import DaskEngine

logger = logging.getLogger(__name__)


def main() -> int:
    """Serve the store until SIGTERM, SIGINT, or the end of the process that holds the lifeline."""
    parser = argparse.ArgumentParser(
        prog="python -m dropviz.engine", description="Run queued jobs in child processes."
    )
    parser.add_argument(
        "--lifeline", type=int, metavar="FD", help="end when this pipe is closed at its other end"
    )
    parser.add_argument("--pulse", type=int, metavar="FD", help="say through this pipe that the loop turns")
    parser.add_argument(
        "--if-none", action="store_true", help="end at once where this machine has an engine of the store"
    )
    options = parser.parse_args()
    if options.lifeline is not None:
        exit_when_closed(options.lifeline)
    with stop_signals() as stopping:
        return _serve(stopping, options.pulse, if_none=options.if_none)


def _serve(stopping: Stopping, pulse: int | None, *, if_none: bool) -> int:
    try:
        logs.configure("engine")
        settings.check(settings.FOR_WORK)
        lock.acquire(if_none=if_none)
        store = Store.open()
        engine = _engine(store)
    except (ValueError, OSError) as error:
        logger.error("%s", error)
        return 1
    # The fork server inherits it: threads that sleep while they wait leave the cores to whoever has work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    freeze_what_stays()
    engine.warm()
    Dispatcher(store, engine, Beating(pulse)).run(stopping)
    return 0


def _engine(store: Store) -> LocalEngine | DaskEngine:
    chosen = settings.engine()
    if chosen in ("local", "none"):  # none is for a page beside it
        local = LocalEngine(settings.store_url())
        watch(store.database, local.kill)
        return local
    try:
        from dropviz.engine.cluster.engine import DaskEngine
    except ModuleNotFoundError as error:
        raise ValueError(
            f"DROPVIZ_ENGINE = {chosen!r} needs {error.name}, which is not installed: pip install -c constraints.txt"
            " -r requirements-cluster.txt."
        ) from None
    watch(store.database, lambda pid: False)  # its children are the workers'
    return DaskEngine(chosen, store)


if __name__ == "__main__":
    sys.exit(main())
