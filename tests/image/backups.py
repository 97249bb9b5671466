"""The commands of docs/container.md for backups, with the real docker."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.image.build import ROOT
from tests.image.engine import COMPOSE
from tests.upkeep.documented import blocks

# Has the Compose that is here as docker's own; the files are the project's, wherever the commands are given.
DOCKER = """\
#!/usr/bin/env bash
[[ $1 == compose ]] || exec {docker} "$@"
shift
export -n COMPOSE_FILE
exec {compose} -f "{root}/${{COMPOSE_FILE:-compose.yaml}}" "$@"
"""


def take_and_bring_back(file: str, *, taking: int, bringing: int, **environment: str) -> None:
    """Back up what a compose file started, and restore that over it.

    Args:
        file: The compose file.
        taking, bringing: Which of the document's blocks do that.
        environment: What the compose file asks for.
    """
    found = blocks("container.md", "Backup and restore")
    assert f"COMPOSE_FILE={file}" in found[taking] or file == "compose.yaml"
    with tempfile.TemporaryDirectory() as name:
        program = Path(name) / "bin" / "docker"
        program.parent.mkdir()
        program.write_text(DOCKER.format(docker=shutil.which("docker"), compose=COMPOSE, root=ROOT))
        program.chmod(0o755)
        path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
        for number in (taking, bringing):
            done = subprocess.run(
                ["bash", "-c", found[number]],
                cwd=name,
                env=os.environ | environment | {"PATH": path},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{found[number]}\n{done.stdout}{done.stderr}"
