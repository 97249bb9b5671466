"""Coroutines from a test that may share its thread with Playwright, whose loop never leaves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio


def run_apart(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """What the coroutine function returns, run in a loop and a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, function, *arguments).result()
