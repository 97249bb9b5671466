"""How long ago something was, in words."""

from __future__ import annotations


def age(seconds: float) -> str:
    """``40 s``, ``5 min``, ``1.5 h`` or ``3 days``."""
    if seconds < 60:
        return f"{max(0.0, seconds):.0f} s"  # a clock that was set back makes no age negative
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"
