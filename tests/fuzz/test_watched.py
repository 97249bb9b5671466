"""The watch over inputs: whatever it forbids is really done here, and seen."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fuzz.watched import Broken, watched

FORBIDDEN: dict[str, Callable[[Path], object]] = {
    "a file is written": lambda folder: (folder / "new").write_text("x"),
    "a file is made by its descriptor": lambda folder: os.close(
        os.open(folder / "new", os.O_CREAT | os.O_WRONLY)
    ),
    "a folder is made": lambda folder: (folder / "new").mkdir(),
    "a file is deleted": lambda folder: (folder / "there").unlink(),
    "a file is moved in": lambda folder: (folder / "inside" / "own").rename(folder / "new"),
    "a database is opened": lambda folder: sqlite3.connect(folder / "new").close(),
    "code is run": lambda folder: eval("1 + 1"),
    "a program is run": lambda folder: subprocess.run(["/bin/true"], check=True),
    "a program is run another way": lambda folder: os.posix_spawn("/bin/true", ["true"], {}),
}


@pytest.mark.parametrize("name", list(FORBIDDEN))
def test_what_no_input_may_do_is_seen(name: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    for path in (tmp_path / "there", inside / "own"):
        path.touch()
    with pytest.raises(Broken), watched(inside), suppress(OSError):
        FORBIDDEN[name](tmp_path)


def test_what_an_input_may_do_is_let_pass(tmp_path: Path) -> None:
    with watched(tmp_path):
        (tmp_path / "new").write_text("x")
        (tmp_path / "new").rename(tmp_path / "other")
        assert Path(__file__).read_text()
        sqlite3.connect(tmp_path / "database").close()
