"""How long what was computed is kept, and how much of it."""

from __future__ import annotations

import os
import re


def keep_days() -> float | None:
    """After how many days the engine deletes what nobody keeps: ``$DROPVIZ_KEEP_DAYS``; None, the default, never.

    Raises:
        ValueError: ``DROPVIZ_KEEP_DAYS`` is not a number of days above 0.
    """
    text = os.environ.get("DROPVIZ_KEEP_DAYS", "").strip()
    return days_of("DROPVIZ_KEEP_DAYS", text) if text else None


def keep_bytes() -> int | None:
    """How much the store may take until the engine deletes what is oldest: ``$DROPVIZ_KEEP_BYTES``; None: no limit.

    Raises:
        ValueError: ``DROPVIZ_KEEP_BYTES`` is not a size.
    """
    text = os.environ.get("DROPVIZ_KEEP_BYTES", "").strip()
    return bytes_of("DROPVIZ_KEEP_BYTES", text) if text else None


def days_of(name: str, text: str) -> float:
    """``30``, ``30d``, ``12h`` or ``2w`` as days.

    Raises:
        ValueError: It is none of these, or not above 0.
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([hdw]?)", text.strip())
    days = float(match[1]) * {"h": 1 / 24, "w": 7.0}.get(match[2], 1.0) if match else 0.0
    if days <= 0:
        raise ValueError(
            f"{name} = {text[:40]!r} is not possible: give days above 0, such as 30d, 12h or 2w."
        )
    return days


def bytes_of(name: str, text: str) -> int:
    """``500M``, ``5G`` or ``1.5T`` as bytes, by powers of 1000; a number alone counts bytes.

    Raises:
        ValueError: It is none of these.
    """
    match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if not match:
        raise ValueError(f"{name} = {text[:40]!r} is not possible: give a size such as 500M or 5G.")
    return int(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))
