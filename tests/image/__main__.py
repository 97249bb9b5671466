"""``make image-test``: build the image with buildah, run it by Docker's own engine without a network, and print what was found."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.browser.served import CHROMIUM
from tests.image.build import WORK, build, clean

# Debian calls the engine as one calls a registry, and this project names no host of any.
PACKAGES = {
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "dockerd": ".".join(("docker", "io")),
    "ip": "iproute2",
}
# What is started in there ends with it, and reaches no network but its own.
APART = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
NOT_EXERCISED = """\
Not exercised here: the published bases (python:3.11-slim-bookworm, postgres:17-bookworm; Debian's own packages stand in for them), the
CUDA build, NVIDIA's container toolkit and compose.gpu.yaml, BuildKit and what Compose builds by itself (buildah reads the same Dockerfile),
Compose as a plugin of docker's (the same program runs by itself), a Dask cluster and its TLS, accounts (login), a proxy in front of the
page, a folder instead of a volume, a new version on an old database, other processors than this one's."""


def main() -> int:
    """Build and try; 0 when all held."""
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("test-results"), help="where the pictures go")
    parser.add_argument("--keep", action="store_true", help="leave the built layers for the next time (GBs)")
    options = parser.parse_args()
    if complaint := unusable():
        print(complaint, file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        inside = [sys.executable, "-m", "tests.image.inside", str(options.out.absolute()), *map(str, build())]
        code = subprocess.run([*APART, *inside], check=False).returncode
    finally:
        clean(keep_layers=options.keep)
    print(f"\n{NOT_EXERCISED}\nKept for the next time: {WORK}")
    return code


def unusable() -> str | None:
    """What this machine lacks, with the line that mends it."""
    if os.geteuid() != 0:
        return "The image is built and run as root here: sudo make image-test"
    if missing := [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]:
        line = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(missing)}"
        return f"This needs tools that are not here. Debian has them:\n\n    {line}\n"
    if CHROMIUM is None:
        return "The pages are looked at in Chromium, which is not here: bash setup/programs chromium installs Debian's."
    return None


if __name__ == "__main__":
    sys.exit(main())
