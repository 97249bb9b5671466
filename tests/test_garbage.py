"""What a process begins with is out of garbage collection, so that what comes later is collected soon."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.test_docs import run

PAGE = """
import asyncio, gc
from dropviz.web.server import lifespan

async def main():
    async with lifespan(None):
        print(gc.get_freeze_count(), len(gc.get_objects()))

asyncio.run(main())
"""
ENGINE = """
import gc
from dropviz.engine import __main__ as program

program.Dispatcher.run = lambda self, stopping: print(gc.get_freeze_count(), len(gc.get_objects()))
program.main()
"""
OLD = """
import gc, weakref
from dropviz.garbage import freeze_what_stays

class Node:
    pass

what_stays = [[] for _ in range(500_000)]
freeze_what_stays()
node = Node()
node.itself = node
gc.collect(1)  # it is among the oldest
seen = weakref.ref(node)
del node
what_comes = [[] for _ in range(90_000)]  # enough for a look at the oldest, and less than a quarter of what stays
print(seen() is None)
"""


@pytest.mark.parametrize("process", [PAGE, ENGINE], ids=["page", "engine"])
def test_what_a_process_begins_with_is_out_of_garbage_collection(process: str, tmp_path: Path) -> None:
    frozen, looked_at = map(int, run([sys.executable, "-c", process], tmp_path).split())
    assert frozen > 10 * looked_at


def test_what_became_old_later_is_collected_although_much_stays(tmp_path: Path) -> None:
    assert run([sys.executable, "-c", OLD], tmp_path).strip() == "True"
    without = OLD.replace("\nfreeze_what_stays()\n", "\ngc.collect()\n")
    assert run([sys.executable, "-c", without], tmp_path).strip() == "False"
