"""What `make run`, `make test` and `.ci/run` promise a fresh machine, tried with stand-ins for what it lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SETUP_FILES = [
    "requirements.txt",
    "requirements-cluster.txt",
    "requirements-login.txt",
    "requirements-dev.txt",
    "requirements-oracles.txt",
    "constraints.txt",
    "pyproject.toml",
]

PACKAGE_HOSTS = re.compile(
    r"(pypi|pythonhosted|npmjs|jsdelivr|unpkg|cdnjs|anaconda|docker|ghcr|quay)\.(org|net|com|io)"
    r"|download\.pytorch\.org|pypi\.nvidia\.com"
)

CUDA_PARTS = ("cuda", "nvidia", "triton")  # torch chooses these; they differ between its builds


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the setup reads, in a folder of its own whose name has a space in it."""
    folder = tmp_path / "a project"
    shutil.copytree(ROOT / "setup", folder / "setup")
    for name in SETUP_FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def pretending_python(path: Path, pretence: str) -> Path:
    """An interpreter that runs `python -c CODE` after a line that takes something away from it."""
    code = f"import sys; {pretence}; exec(sys.argv[1])"
    return executable(path, f"#!/bin/sh\nshift\nexec '{sys.executable}' -c '{code}' \"$@\"\n")


def recording_python(project: Path) -> Path:
    """Puts an interpreter into .venv that only writes down how it is called; returns the record."""
    record = project / "calls"
    executable(project / ".venv/bin/python", f"#!/bin/sh\necho \"$@\" >>'{record}'\n")
    shutil.copy(project / ".venv/bin/python", project / ".venv/bin/pip")
    return record


def set_up(
    project: Path, *arguments: str | Path, **environment: str | Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", project / "setup/environment", *arguments],
        cwd=project.parent,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def installs(record: Path) -> list[str]:
    calls = [call for call in record.read_text().splitlines() if "-m pip" in call]
    record.unlink()
    return calls


def test_without_a_python_the_line_that_installs_one_is_printed(project: Path) -> None:
    done = set_up(project, "run", "no-such-python")
    assert done.returncode == 1
    assert "apt-get install -y python3 python3-venv\n" in done.stderr


def test_a_python_that_is_too_old_is_named_with_the_line_that_installs_a_newer_one(project: Path) -> None:
    old = pretending_python(project / "bin/python3", 'sys.version_info = (3, 9, 2, "final", 0)')
    done = set_up(project, "run", old)
    assert done.returncode == 1
    assert "is Python 3.9; DropViz needs 3.11 or newer" in done.stderr
    assert re.search(r"apt-get install -y (python3\.\d+) \1-venv && make run PYTHON=\1\n", done.stderr), (
        done.stderr
    )
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(
    ("name", "package"), [("python3", "python3-venv"), ("python3.11", r"python3\.\d+-venv")]
)
def test_a_python_without_its_venv_package_gets_the_line_that_installs_it(
    project: Path, name: str, package: str
) -> None:
    bare = pretending_python(project / "bin" / name, 'sys.modules["ensurepip"] = None')
    done = set_up(project, "run", bare)
    assert done.returncode == 1
    assert re.search(rf"apt-get update && (sudo )?apt-get install -y {package}\n", done.stderr), done.stderr
    assert not (project / ".venv").exists()


def test_where_no_ready_made_wheel_exists_the_package_and_another_python_are_named(project: Path) -> None:
    empty = project / "no wheels"
    empty.mkdir()
    done = set_up(
        project,
        "run",
        sys.executable,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=empty.as_uri(),
        PIP_CONFIG_FILE=os.devnull,
    )
    assert done.returncode == 1
    assert re.search(r"no ready-made wheel of [\w-]+==[\d.]+ for Python 3", done.stderr), done.stderr
    assert "&& make run PYTHON=python3." in done.stderr
    assert not list((project / ".venv").glob(".dropviz-*")), "a setup that failed must not count as done"


def test_the_setup_installs_wheels_only_and_is_done_again_only_when_something_changed(project: Path) -> None:
    record = recording_python(project)
    assert set_up(project, "run").returncode == 0
    packages, itself = installs(record)
    assert "--only-binary=:all: -c constraints.txt -r requirements.txt" in packages
    assert "--no-deps --no-build-isolation --editable ." in itself

    assert set_up(project, "run").stdout == ""
    assert installs(record) == []

    (project / "requirements.txt").write_text("numpy==2.4.6\n")
    assert set_up(project, "run").returncode == 0
    assert len(installs(record)) == 2


def test_a_folder_that_was_moved_is_set_up_again(project: Path) -> None:
    recording_python(project)
    assert set_up(project, "run").returncode == 0
    (project / "calls").unlink()
    moved = project.rename(project.with_name("moved"))
    record = recording_python(moved)
    assert set_up(moved, "run").returncode == 0
    assert len(installs(record)) == 2


def test_what_is_set_up_for_the_tests_is_set_up_for_running_too(project: Path) -> None:
    record = recording_python(project)
    assert set_up(project, "test").returncode == 0
    together, alone, _ = installs(record)
    lists = ("requirements.txt", "requirements-cluster.txt", "requirements-login.txt", "requirements-dev.txt")
    assert " ".join(f"-r {name}" for name in lists) in together
    assert "--no-deps -r requirements-oracles.txt" in alone
    assert set_up(project, "run").returncode == 0
    assert installs(record) == []


def look_for_programs(tools: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Runs setup/programs on a machine that has these tools and the few that every machine has."""
    for name in ("bash", "env", "grep"):
        if not (tools / name).exists():
            (tools / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    command = [tools / "bash", ROOT / "setup/programs", *names]
    environment = {"PATH": str(tools), "POSTGRESQL_SERVERS": str(tools / "servers")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_programs_that_are_there_are_left_alone(tmp_path: Path) -> None:
    executable(tmp_path / "chromium", "#!/bin/sh\n")
    executable(tmp_path / "servers/15/bin/initdb", "#!/bin/sh\n")
    done = look_for_programs(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("name", "place"), [("chromium", "chromium"), ("postgresql", "initdb")])
def test_a_program_is_installed_where_that_needs_no_question(tmp_path: Path, name: str, place: str) -> None:
    executable(tmp_path / "id", "#!/bin/sh\necho 0\n")
    executable(tmp_path / "apt-cache", "#!/bin/sh\necho found\n")
    program = tmp_path / place
    install = f"*install*{name}) printf '#!/bin/sh\\n' >'{program}'; chmod +x '{program}' ;;"
    executable(tmp_path / "apt-get", f"#!/bin/sh\nPATH=/usr/bin:/bin\ncase $* in {install} esac\n")
    done = look_for_programs(tmp_path, name)
    assert (done.returncode, done.stderr) == (0, "")
    assert program.exists()


def test_debians_own_database_server_is_not_started_along_the_way(tmp_path: Path) -> None:
    executable(tmp_path / "id", "#!/bin/sh\necho 0\n")
    executable(tmp_path / "apt-cache", "#!/bin/sh\necho found\n")
    executable(tmp_path / "apt-get", f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n')
    look_for_programs(tmp_path, "postgresql")
    assert "create_main_cluster = false" in (tmp_path / "calls").read_text()


def test_what_needs_a_password_is_left_to_the_person_with_the_lines_to_type(tmp_path: Path) -> None:
    executable(tmp_path / "id", "#!/bin/sh\necho 1000\n")
    executable(tmp_path / "sudo", "#!/bin/sh\nexit 1\n")
    executable(tmp_path / "apt-cache", "#!/bin/sh\necho found\n")
    executable(tmp_path / "apt-get", "#!/bin/sh\nexit 1\n")
    done = look_for_programs(tmp_path)
    assert done.returncode == 0, "the other tests must still run"
    for name in ("chromium", "postgresql"):
        assert f"No {name}: the tests that need it will be skipped." in done.stderr
        assert f"sudo apt-get install -y --no-install-recommends {name}\n" in done.stderr


def make(*arguments: str) -> str:
    # `make test ARGS=-x` must not reach the make that is tried here.
    inherited = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS", "PYTHON", "WORKERS")
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    command = ["make", "--no-print-directory", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_make_without_a_target_lists_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    assert set(re.findall(r"^  make ([a-z-]+) ", make(), re.MULTILINE)) == set(targets[1].split())


def test_make_run_sets_up_before_it_serves_and_takes_another_python() -> None:
    first, second = make("-n", "run", "PYTHON=python3.12").splitlines()
    assert first == 'bash setup/environment run "python3.12"'
    assert second.split() == ["exec", ".venv/bin/dropviz", "serve"]


def test_make_test_names_failures_and_skips_and_leaves_no_test_out() -> None:
    (line,) = (line for line in make("-n", "test").splitlines() if "pytest" in line)
    # What failed, and what was left out, is named at the end.
    assert line.split("pytest", 1)[1].split() == ["-rfEs", "-n", "2", "--dist", "loadfile"]


def test_ci_runs_make_test_and_fails_with_it(tmp_path: Path) -> None:
    record = tmp_path / "calls"
    executable(tmp_path / "make", f'#!/bin/sh\necho "$@" >>{record}\n[ "$1" != test ]\n')
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [ROOT / ".ci/run"], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, timeout=60
    )
    assert done.returncode != 0
    assert "test" in record.read_text().split()


def pins(name: str) -> dict[str, Requirement]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return {canonicalize_name(one.name): one for one in map(Requirement, filter(None, lines))}


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "requirements-cluster.txt",
        "requirements-login.txt",
        "requirements-dev.txt",
        "requirements-oracles.txt",
        "constraints.txt",
    ],
)
def test_everything_is_pinned_to_one_version_that_every_index_can_serve(name: str) -> None:
    for one in pins(name).values():
        assert re.fullmatch(r"==\d[\w.]*", str(one.specifier)), f"{one}: pin it as name==version"
        assert one.url is None


def test_what_the_requirements_bring_along_is_pinned_too() -> None:
    lists = ("requirements.txt", "requirements-cluster.txt", "requirements-login.txt", "requirements-dev.txt")
    queue = [name for one in lists for name in pins(one)]
    pinned = {*queue, *pins("constraints.txt")}
    seen, loose = set(queue), set()
    while queue:
        name = queue.pop()
        for need in map(Requirement, metadata.requires(name) or ()):
            wanted = canonicalize_name(need.name)
            if wanted in seen or (need.marker and not need.marker.evaluate({"extra": ""})):
                continue
            seen.add(wanted)
            queue.append(wanted)
            if wanted not in pinned and not wanted.startswith(CUDA_PARTS):
                loose.add(f"{wanted} (for {name})")
    assert loose == set()


def test_no_file_names_a_host_that_packages_come_from() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: there is no list of the project's files")
    named = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        text = path.read_text("utf-8", errors="ignore") if path.is_file() else ""
        if found := PACKAGE_HOSTS.search(text):
            named[name] = found[0]
    assert named == {}
