"""The commands that the documents have for backups, and a place to run them in as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCUMENTS = Path(__file__).parents[2] / "docs"
SETTING_UP = ("set ", "umask ", "cd ", "export ")

# Takes the place of docker: a command for a container runs here, where /data is the data directory, with pipes as docker has them.
DOCKER = """\
#!/usr/bin/env bash
set -eo pipefail
[[ $1 == compose ]] && shift
verb=$1
shift
while [[ $1 == -* ]]; do shift; done
case $verb in
    exec | run) shift && cat | "${@//\\/data/$DROPVIZ_DATA}" ;;
    cp) cp "${1/#*:\\/data/$DROPVIZ_DATA}" "$2" ;;
    stop | up) ;;
    *) echo "unknown: $verb" >&2 && exit 1 ;;
esac
"""


def blocks(document: str, heading: str = "") -> list[str]:
    """The shell commands of a document, or of what stands below one of its headings; a block each."""
    text = (DOCUMENTS / document).read_text("utf-8")
    if heading:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def steps(block: str) -> list[str]:
    """A block as scripts that do one command each, with the lines before it that set the shell up."""
    before: list[str] = []
    found = []
    for line in block.splitlines():
        if line.startswith(SETTING_UP):
            before.append(line)
        else:
            found.append("\n".join([*before, line]))
    return found


class Shell:
    """Runs scripts in a folder, with ``docker`` as above, this project's ``dropviz`` and the given programs.

    Args:
        folder: Where they run; it is also what documents call /backups.
        programs: Folders of further programs.
        environment: Further variables.
    """

    def __init__(self, folder: Path, *programs: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        tools = folder / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "docker").write_text(DOCKER)
        (tools / "docker").chmod(0o755)
        path = [tools, Path(sys.executable).parent, *programs, os.environ["PATH"]]
        self.environment = environment | {"PATH": os.pathsep.join(map(str, path))}

    def run(self, script: str, data: Path) -> None:
        """Run a script whose data directory is ``data``.

        Raises:
            AssertionError: It ended with an error.
        """
        done = subprocess.run(
            ["bash", "-c", script.replace("/backups", str(self.folder))],
            cwd=self.folder,
            env=os.environ | self.environment | {"DROPVIZ_DATA": str(data)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
