"""How a script comes by its data."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dropviz import uploads
from dropviz.experiment import ExperimentSpec

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


def own_file(spec: ExperimentSpec) -> str:
    """What names the file of a person's own that the data come from, a SHA-256 or a path; empty of other data."""
    found = getattr(spec.data, "file", "")
    return found if isinstance(found, str) else ""


def opening(spec: ExperimentSpec) -> list[str]:
    """Lines that open the file beside the script as ``file``. One of a person's own data is not given to everybody who gets the script."""
    if not own_file(spec):
        return [f'with np.load(Path(__file__).with_name("{FILE}")) as file:']
    return [
        f'place = Path(__file__).with_name("{FILE}")',
        "if not place.is_file():",
        "    raise SystemExit(",
        '        f"{place} is not there. It is made from a file of somebody\'s own ({MADE_FROM}), and only who handed"',
        '        " that file in to the server gets it: hand it in, export this run once more, and take what is there."',
        "    )",
        "with np.load(place) as file:",
    ]


def made_from(spec: ExperimentSpec) -> dict[str, tuple[str, str]]:
    """The setting of the script that ``opening`` reads; none of other data."""
    found = own_file(spec)
    if not found:
        return {}
    what = "SHA-256 of the file" if uploads.is_upload(found) else "below the folder of DROPVIZ_FILES"
    return {"MADE_FROM": (json.dumps(found, ensure_ascii=False), what)}
