"""The doctor: what is well is said so, and every problem is really made and found, with what to do."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dropviz import settings
from dropviz.commands.upkeep.doctor import basics, data, serving
from dropviz.commands.upkeep.doctor.registry import CHECKS, Context, Finding, run
from dropviz.datasets import registry
from dropviz.engine import lock
from dropviz.store import Store
from tests.extending import process
from tests.houses import free_port

ROOT = Path(__file__).resolve().parents[2]
FORMER = ROOT / "tests" / "store" / "schema_3.sql"
OURS = r"DROPVIZ_[A-Z_]*[A-Z]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory, and no other setting."""
    for name in [name for name in os.environ if name.startswith("DROPVIZ_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def free() -> int:
    return free_port()


def found(name: str, state: str, port: int = 8501) -> list[Finding]:
    return [finding for finding in run(name, Context(port=port)) if finding.state == state]


def only(name: str, state: str, port: int = 8501) -> Finding:
    (finding,) = found(name, state, port)
    return finding


def test_where_all_is_well_it_ends_with_0_and_says_a_line_a_check(folder: Path, free: int) -> None:
    environment = dict(os.environ) | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dropviz", "doctor", "--port", str(free)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The Lab can serve." in done.stdout
    assert "PROBLEM" not in done.stdout
    for name in CHECKS:
        assert re.search(rf"^(ok|warning) +{name} ", done.stdout, re.MULTILINE), name
    command[-2:] = ["--json"]
    (folder / "dropviz.db").write_bytes(b"nothing of SQLite" * 1000)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    table = json.loads(done.stdout)
    assert {"check", "state", "found", "todo"} == set(table[0])
    assert [line["check"] for line in table if line["state"] == "problem"] == ["store"]


def test_a_misspelled_setting_is_named_with_what_was_meant(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_SLOT", "2")
    monkeypatch.setenv("DROPVIZ_MAX_STEPS", "5")
    monkeypatch.setenv("DROPVIZ_SOMETHING_ELSE", "2")
    first, second = found("settings", "warning")
    assert (first.found, first.todo) == (
        "DROPVIZ_SLOT is set, and nothing reads it",
        "Did you mean DROPVIZ_SLOTS?",
    )
    assert second.todo == "Unset it: nothing reads it."
    assert only("settings", "ok").found == "read: DROPVIZ_DATA, DROPVIZ_MAX_STEPS"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SLOTS", "0"),
        ("LOG", "xml"),
        ("ADMIN_TOKEN", "short"),
        ("KEEP_DAYS", "x"),
        ("MAX_SEEDS", "-1"),
        ("FILES", "/none"),
    ],
)
def test_a_setting_that_is_not_possible_is_a_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"DROPVIZ_{name}", text)
    assert f"DROPVIZ_{name}" in only("settings", "problem").found


def test_every_variable_that_the_documents_name_is_one() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {name for path in documents for name in re.findall(OURS, path.read_text("utf-8"))}
    built = {name for name in named if name.startswith("DROPVIZ_MAX_")}
    composed = {
        name
        for path in ROOT.glob("compose*.yaml")
        for name in re.findall(rf"\$\{{({OURS})", path.read_text("utf-8"))
    }
    assert named - built - composed <= basics.known_variables()


def test_a_data_directory_that_is_a_file_or_cannot_be_made_is_a_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nothing")):
        monkeypatch.setenv("DROPVIZ_DATA", str(place))
        assert str(place) in only("data directory", "problem").found


def test_a_disk_that_is_nearly_full_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "LOW_BYTES", 10**18)
    assert "dropviz prune" in only("data directory", "warning").todo
    monkeypatch.setattr(data, "FEWEST_BYTES", 10**18)
    assert "dropviz prune" in only("data directory", "problem").todo


def test_a_store_of_another_program_a_damaged_and_a_former_one(folder: Path) -> None:
    folder.mkdir()
    path = folder / "dropviz.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")
    assert "database of another program" in only("store", "problem").found
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(FORMER.read_text())
    assert "it has schema 3" in only("store", "warning").found
    Store.open().close()
    assert any(".schema-3.bak" in finding.found for finding in found("store", "ok"))
    path.write_bytes(path.read_bytes()[:8192] + os.urandom(60_000))
    assert "dropviz restore" in only("store", "problem").todo


def test_a_network_file_system_is_a_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(data, "MOUNTS", mounts)
    assert "network file system (nfs4)" in only("store", "problem").found


def test_a_data_set_whose_file_was_changed_is_a_warning(folder: Path) -> None:
    named = next(name for name in ("tiny-shakespeare", "ptb") if name in registry.members)
    download = registry.read(named).download()
    for file in download.files:
        path = download.path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as content:
            content.truncate(file.size)
    assert named in only("data sets", "warning").found


def test_a_driver_without_a_torch_that_uses_it_and_the_reverse(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver = tmp_path / "nvidiactl"
    monkeypatch.setattr(settings.machine, "NVIDIA_DRIVER", driver)
    monkeypatch.setenv("DROPVIZ_DEVICE", "cuda")
    assert "Set DROPVIZ_DEVICE=cpu" in only("device", "problem").todo
    monkeypatch.delenv("DROPVIZ_DEVICE")
    assert "no graphics card" in only("device", "warning").found
    driver.touch()
    if "+cpu" in settings.version_of("torch"):
        assert "CUDA build of torch" in only("device", "warning").todo


TORCH = """
class cuda:
    is_available = staticmethod(lambda: {cards} > 0)
    device_count = staticmethod(lambda: {cards})
"""


@pytest.mark.parametrize(
    ("cards", "device", "state", "said"),
    [
        (0, "cuda", "problem", "CUDA of this torch finds no device that it can use"),
        (0, "", "warning", "there is an NVIDIA driver, and this torch cannot use it"),
        (2, "cuda:1", "ok", "torch can use 2 by CUDA"),
        (2, "cuda:2", "problem", "CUDA of this torch finds only 2, counted from 0"),
        (2, "cpu", "ok", "torch can use 2 by CUDA"),
    ],
)
def test_where_a_driver_is_torch_itself_says_what_it_can_use(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cards: int,
    device: str,
    state: str,
    said: str,
) -> None:
    (tmp_path / "torch.py").write_text(TORCH.format(cards=cards))  # what another process finds
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    driver = tmp_path / "nvidiactl"
    monkeypatch.setattr(settings.machine, "NVIDIA_DRIVER", driver)
    monkeypatch.setenv("DROPVIZ_DEVICE", device)
    assert "cannot use it" not in only("device", "problem" if device.startswith("cuda") else "warning").found
    driver.touch()
    assert said in only("device", state).found


def test_a_torch_that_cannot_be_asked_can_use_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so is not there')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert basics._cards() == 0


@pytest.mark.parametrize("elsewhere", ["none", "tcp://127.0.0.1:8786"])
def test_the_machine_of_a_page_whose_jobs_run_elsewhere_needs_no_graphics_card(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, elsewhere: str
) -> None:
    monkeypatch.setattr(settings.machine, "NVIDIA_DRIVER", tmp_path / "none")
    monkeypatch.setenv("DROPVIZ_DEVICE", "cuda")
    monkeypatch.setenv("DROPVIZ_ENGINE", elsewhere)
    assert elsewhere in only("device", "ok").found


def test_servers_of_data_sets_that_cannot_be_reached_are_a_warning(
    folder: Path, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(data, "_doors", lambda: {("127.0.0.1", port)})
        assert only("network", "ok").found == "servers of data sets that can be reached: 1"
        monkeypatch.setattr(data, "_doors", lambda: {("127.0.0.1", port), ("localhost", free)})
        assert "localhost cannot be reached" in only("network", "warning").found


def test_the_doors_are_of_what_is_not_here_and_of_a_proxy_where_there_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert len(data._doors()) > 1
    assert {port for _, port in data._doors()} <= {80, 443}
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://user:word@proxy.example:3128")
    assert data._doors() == {("proxy.example", 3128)}


def test_packages_that_are_not_there_or_others_are_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("numpy==0.0.1  # old\nnot-a-package-of-anybody==1.0\n")
    monkeypatch.setattr(basics, "REQUIREMENTS", requirements)
    assert "not-a-package-of-anybody" in only("packages", "problem").found
    assert "(pinned: 0.0.1)" in only("packages", "warning").found


def test_an_extension_that_cannot_be_used_is_a_warning(tmp_path: Path, free: int) -> None:
    command = ("-m", "dropviz", "doctor", "--json", "--port", str(free))
    done = process(*command, folder=tmp_path, named=str(tmp_path / "none.py"))
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in json.loads(done.stdout) if line["check"] == "extensions" and line["todo"]]
    assert (said["state"], said["todo"]) == ("warning", "dropviz check-extensions says more.")
    assert "none.py" in said["found"]


def test_a_port_is_free_or_taken_by_somebody_else(folder: Path, free: int) -> None:
    assert only("port", "ok", free).found == f"{free} is free"
    with socket.socket() as other:
        other.bind(("127.0.0.1", free))
        other.listen()
        assert "--port" in only("port", "problem", free).todo


def test_an_engine_that_runs_is_said(folder: Path) -> None:
    assert "none runs" in only("engine", "ok").found
    Store.open().close()
    descriptor = lock.acquire()
    try:
        assert "serves" in only("engine", "ok").found
    finally:
        os.close(descriptor)


def test_browser_files_that_are_missing_are_a_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "components" in only("browser files", "ok").found
    monkeypatch.setattr(serving.resources, "files", lambda package: tmp_path)
    (tmp_path / "browser").mkdir()
    assert "plotly" in only("browser files", "problem").todo


def test_what_several_machines_need_is_asked_for_only_where_they_are_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only("several machines", "ok").found == "not asked for"
    monkeypatch.setenv("DROPVIZ_TLS_CA", "/nowhere/ca.pem")
    assert "cannot be read" in only("several machines", "problem").found


def test_without_a_chromium_tests_are_skipped_and_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "apt-get install chromium" in only("chromium", "warning").todo
