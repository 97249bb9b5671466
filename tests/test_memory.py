"""What a process begins with is out of garbage collection, and what it frees goes back to the system."""

from __future__ import annotations

import ctypes
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
from dropviz.memory import freeze_what_stays

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

HOLES = """
from mmap import PAGESIZE
from pathlib import Path
from dropviz.web import housekeeping

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGESIZE

housekeeping.tidy()
start = resident()
blocks = [bytes(1024) for _ in range(100_000)]
kept = blocks[::100]
del blocks
print(resident() - start)
housekeeping.tidy()
print(resident() - start)
"""
TIDIED = """
import asyncio
from dropviz.experiment import preset
from dropviz.web import housekeeping, live, readers
from dropviz.web.server import lifespan

housekeeping.EVERY_SECONDS, readers.IDLE_SECONDS = 0.05, 1.0
refusals = [OSError("no thread")]
tidy = housekeeping.tidy

def refusing():
    if refusals:
        raise refusals.pop()
    tidy()

housekeeping.tidy = refusing

async def main():
    async with lifespan(None):
        live.readers().get(live.store().submit(preset("classroom")))
        print(len(live.readers()))
        for _ in range(400):
            await asyncio.sleep(0.05)
            if not len(live.readers()):
                break
        print(len(live.readers()))

asyncio.run(main())
"""


@pytest.mark.parametrize("process", [PAGE, ENGINE], ids=["page", "engine"])
def test_what_a_process_begins_with_is_out_of_garbage_collection(process: str, tmp_path: Path) -> None:
    frozen, looked_at = map(int, run([sys.executable, "-c", process], tmp_path).split())
    assert frozen > 10 * looked_at


def test_what_became_old_later_is_collected_although_much_stays(tmp_path: Path) -> None:
    assert run([sys.executable, "-c", OLD], tmp_path).strip() == "True"
    without = OLD.replace("\nfreeze_what_stays()\n", "\ngc.collect()\n")
    assert run([sys.executable, "-c", without], tmp_path).strip() == "False"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc's allocator alone has it")
def test_what_was_freed_between_what_is_in_use_goes_back_to_the_system(tmp_path: Path) -> None:
    before, after = map(int, run([sys.executable, "-c", HOLES], tmp_path).split())
    assert before > 80_000_000
    assert after < 20_000_000


def test_the_pages_process_tidies_up_unasked_also_after_it_could_not(tmp_path: Path) -> None:
    assert run([sys.executable, "-c", TIDIED], tmp_path).split() == ["1", "0"]
