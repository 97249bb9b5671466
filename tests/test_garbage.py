"""What the web server does beside its pages."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.test_docs import run

BEGIN = """
import asyncio, gc
from dropviz.web.server import lifespan

async def main():
    async with lifespan(None):
        print(gc.get_freeze_count(), len(gc.get_objects()))

asyncio.run(main())
"""


def test_what_a_server_begins_with_is_out_of_garbage_collection(tmp_path: Path) -> None:
    frozen, looked_at = map(int, run([sys.executable, "-c", BEGIN], tmp_path).split())
    assert frozen > 10 * looked_at
