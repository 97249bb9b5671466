"""``dropviz engine``: an engine of this machine, replaced when it hangs, gone when this process is."""

from __future__ import annotations

import logging
import sys

from dropviz import logs
from dropviz.engine import EngineKeeper
from dropviz.engine.stopping import stop_signals

LOOK_SECONDS = 0.2
FAILED = 1

logger = logging.getLogger(__name__)


def keep_engine() -> int:
    """Keep an engine until SIGINT or SIGTERM, or until it ends by itself; returns the exit code.

    One that ends is not started again: what ends it (another engine, a store or a setting that cannot be used) is for whoever started
    this, who sees the code. One that hangs would never tell.

    Raises:
        ValueError: The settings of the log are wrong.
    """
    logs.configure("keeper")
    with stop_signals() as stopping:
        keeper = EngineKeeper(log=sys.stderr.fileno(), always=True)
        try:
            keeper.ensure()
            while not stopping.wait(LOOK_SECONDS):
                if (code := keeper.exit_code()) is not None:
                    return code if code >= 0 else _killed(-code)
                keeper.ensure()
        finally:
            keeper.close()
    return 0


def _killed(number: int) -> int:
    logger.error("the engine was killed", extra=logs.of(signal=number))
    return FAILED
