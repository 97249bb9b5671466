"""Extensions as a server has them: files and packages that a process of its own is given by its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "extension"

DATA = """
from typing import ClassVar, Literal
import numpy as np
from dropviz.datasets.planar import Planar


class {name}(Planar):
    name: Literal["{label}"] = "{label}"
    noise: float = {noise}
    title: ClassVar[str] = "{name}"

    def places(self, y, random):
        return np.outer(y, [2.0, 0.0])
"""


def data_set(label: str, noise: float = 0.5) -> str:
    """The source of a small data set of this name."""
    return DATA.format(name=label.title().replace("-", ""), label=label, noise=noise)


def process(*command: str, folder: Path, named: str = "", path: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python with these extensions: ``named`` by DROPVIZ_EXTENSIONS, ``path`` before its own search path."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("DROPVIZ_")}
    changes = {"DROPVIZ_DATA": str(folder / "data"), "DROPVIZ_DEVICE": "cpu", "DROPVIZ_EXTENSIONS": named}
    changes |= {
        "PYTHONPATH": os.pathsep.join(filter(None, (path, str(ROOT)))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=inherited | changes,
        capture_output=True,
        text=True,
        timeout=300,
    )


def told(code: str, **where: Any) -> Any:
    """What a process of its own prints as JSON at its end."""
    done = process("-c", code, **where)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
