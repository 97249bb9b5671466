"""Where jobs run: the dispatcher, the local engine with its children, and keeping one alive. No torch until a child."""

from dropviz.engine.dispatcher import Dispatcher
from dropviz.engine.launch import EngineKeeper, start_engine_if_none
from dropviz.engine.local import LocalEngine
from dropviz.engine.lock import EngineRunning, engine_runs
from dropviz.engine.protocol import Engine, Placed

__all__ = [
    "Dispatcher",
    "Engine",
    "EngineKeeper",
    "EngineRunning",
    "LocalEngine",
    "Placed",
    "engine_runs",
    "start_engine_if_none",
]
