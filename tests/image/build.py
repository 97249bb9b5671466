"""The image by buildah, which needs no daemon: a base from Debian's archive, the Dockerfile on it, an archive that Docker loads."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
WORK = Path(os.environ.get("DROPVIZ_IMAGE_WORK", "~/.cache/dropviz-image")).expanduser().absolute()
BASE, LAYERS, TEMPORARY, DOCKER = WORK / "base", WORK / "layers", WORK / "tmp", WORK / "docker"
PYTHON_BASE = "localhost/python-base"
NAMES = ("dropviz", "database")
IN_BASE = "python3,python3-venv,ca-certificates"
PASSED_ON = ("index-url", "extra-index-url", "find-links", "cert")


def build() -> list[Path]:
    """Build DropViz and what stands in for PostgreSQL; the archives of both."""
    TEMPORARY.mkdir(parents=True, exist_ok=True)
    timed("base from Debian's archive", make_base)
    timed("image by buildah", build_image)
    stand_in = str(ROOT / "tests/image/database")
    buildah("bud", "--layers", "--build-arg", f"BASE={PYTHON_BASE}", "--tag", "localhost/database", stand_in)
    for name in NAMES:
        archive(name).unlink(missing_ok=True)
        buildah("push", "--quiet", f"localhost/{name}", f"docker-archive:{archive(name)}:{name}:latest")
    return [archive(name) for name in NAMES]


def archive(name: str) -> Path:
    """The file that an image is kept in between buildah and Docker."""
    return WORK / f"{name}.tar"


def clean(*, keep_layers: bool) -> None:
    """Remove what was built; the base stays, and on request the layers."""
    for name in NAMES:
        archive(name).unlink(missing_ok=True)
    for folder in (DOCKER,) if keep_layers else (DOCKER, LAYERS, TEMPORARY):
        shutil.rmtree(folder, ignore_errors=True)


def make_base() -> None:
    """Debian's smallest system with Python, once; and as an image of buildah's."""
    if not BASE.exists():
        unfinished = BASE.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={IN_BASE}", "bookworm", str(unfinished)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(unfinished / "var/cache/apt/archives")
        unfinished.rename(BASE)
    if subprocess.run([*command_line(), "inspect", PYTHON_BASE], capture_output=True).returncode:
        container = buildah("from", "scratch")
        buildah("add", "--quiet", container, f"{BASE}/")
        buildah("commit", "--quiet", "--rm", container, PYTHON_BASE)


def build_image() -> None:
    """The Dockerfile, with this machine's pip settings; the folders that these name are seen by the build."""
    arguments = {
        "BASE": PYTHON_BASE,
        "DEVICE": "cpu",
        "VERSION": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        "REVISION": subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip(),
        **pip_settings(),
    }
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    mounts = [part for path in folders(arguments) for part in ("--volume", f"{path}:{path}:ro")]
    log = WORK / "build.log"
    with log.open("w") as written:
        command = [*command_line(), "bud", "--layers", "--format", "docker", *given, *mounts]
        done = subprocess.run(
            [*command, "--tag", "localhost/dropviz", str(ROOT)],
            env=environment(),
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        sys.exit(f"The build failed: see {log}\n{log.read_text()[-3000:]}")


def pip_settings() -> dict[str, str]:
    """Where pip gets packages here, as the variables that the Dockerfile takes; the environment wins over files."""
    listed = subprocess.check_output([sys.executable, "-m", "pip", "config", "list"], text=True)
    found: dict[str, str] = {}
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        option = name.rpartition(".")[2]
        if option in PASSED_ON:
            found[f"PIP_{option.replace('-', '_').upper()}"] = " ".join(ast.literal_eval(value).split())
    return found


def folders(arguments: dict[str, str]) -> list[str]:
    """The files and folders of this machine that settings name, as paths or as file:// addresses."""
    words = [word for name, value in arguments.items() if name.startswith("PIP_") for word in value.split()]
    paths = {urlsplit(word).path for word in words if word.startswith(("/", "file://"))}
    # An index on disk may keep its files beside the folder that pip is told of.
    paths = {str(Path(path).parent) if path.endswith("/simple") else path for path in paths}
    return sorted(path for path in paths if Path(path).exists())


def buildah(*arguments: str) -> str:
    """Run it; what it printed."""
    done = subprocess.run(
        [*command_line(), *arguments], env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"buildah {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def command_line() -> list[str]:
    """buildah, with mounts of its own: it leaves those of its layers behind, which end with the process then."""
    return ["unshare", "--mount", "buildah", "--root", str(LAYERS), "--runroot", str(TEMPORARY / "run")]


def environment() -> dict[str, str]:
    """Layers as overlays where the disk can (vfs copies each whole), and processes in a chroot, which asks for no namespaces."""
    chosen = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}
    return chosen | os.environ | {"TMPDIR": str(TEMPORARY)}


def timed(what: str, step: object) -> None:
    begun = time.monotonic()
    step()  # type: ignore[operator]
    print(f"{what}: {time.monotonic() - begun:.0f} s", flush=True)
