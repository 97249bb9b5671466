"""How a script comes by its data."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

FILE = "data.npz"


@dataclass(frozen=True, kw_only=True)
class ScriptData:
    """How a script comes by its data.

    Attributes:
        parts: Files of ``parts/``.
        source: ``load``, which returns the splits by name.
        files: What goes beside the script, by name.
        packages: What it comes from, as pip calls them.
        settings: The knobs that it reads: name → (code, comment).
    """

    parts: tuple[str, ...]
    source: str
    files: dict[str, bytes] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    settings: dict[str, tuple[str, str]] = field(default_factory=dict)


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as a compressed file of numpy."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()
