"""What the container's files promise, as far as it shows without building anything; `make image-test` does the rest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from dropviz.engine.lifeline import death_signal
from tests.houses import free_port, wait_until

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = Path(sys.executable).with_name("docker-compose")
ONE, GPU, CLUSTER = ["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"], ["compose.cluster.yaml"]


def config(files: list[str], folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """What docker compose itself makes of the files; it asks no engine for that."""
    chosen = [part for name in files for part in ("-f", str(folder / name))]
    outside = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("POSTGRES", "DROPVIZ", "PIP_"))
    }
    return subprocess.run(
        [COMPOSE, *chosen, "--env-file", os.devnull, "config", "--format", "json"],
        env=outside | environment,
        capture_output=True,
        text=True,
    )


def services(files: list[str], folder: Path = ROOT, **environment: str) -> dict[str, Any]:
    done = config(files, folder, POSTGRES_PASSWORD="a secret", **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


def test_the_image_runs_as_nobody_special_and_gets_only_what_it_runs_from() -> None:
    assert re.search(r"^USER 10001", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", DOCKERFILE, re.MULTILINE)
    first, *others = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in "#"
    ]
    assert first == "*"
    let_in = {line.removeprefix("!") for line in others if line.startswith("!")}
    assert {"app.py", "pages", "dropviz", ".streamlit", "pyproject.toml", "requirements.txt"} <= let_in
    assert not let_in & {".venv", ".git", "tests", "benchmarks"}
    assert all((ROOT / name).exists() for name in let_in)


def test_what_changes_least_comes_first() -> None:
    order = [
        "COPY requirements.txt",
        "COPY . .",
        "COPY --from=packages",
        "COPY --from=program",
        "ARG REVISION",
    ]
    places = [DOCKERFILE.index(line) for line in order]
    assert places == sorted(places)


def test_the_image_says_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in DOCKERFILE


@pytest.mark.parametrize("files", [ONE, GPU, CLUSTER], ids=["one machine", "gpu", "cluster"])
def test_every_service_is_confined_and_reaches_out_only_by_this_machine(files: list[str]) -> None:
    for name, service in services(files).items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert all(port["host_ip"] == "127.0.0.1" for port in service.get("ports") or ()), name
        assert {volume["type"] for volume in service["volumes"]} == {"volume"}, (
            f"{name} sees this machine's files"
        )
        assert service["restart"] == "unless-stopped", name
        assert service["logging"]["options"]["max-size"], f"{name}: a log that grows for ever"
        assert service["stop_grace_period"], name
        assert service["pids_limit"] > 0, name
        assert int(service["mem_limit"]) == int(service["memswap_limit"]) > 0, name
        # Without one it is the image's: the Dockerfile's here, root's at first in what others publish.
        assert service.get("user") == ("999:999" if name == "database" else None), name


def test_limits_are_changed_in_env() -> None:
    chosen = services(CLUSTER, DROPVIZ_MEMORY="3g", POSTGRES_MEMORY="2g")
    limits = {name: int(service["mem_limit"]) >> 30 for name, service in chosen.items()}
    assert limits == {"page": 3, "engine": 3, "database": 2}


PIP_SETTINGS = sorted(set(re.findall(r"^ARG (PIP_\w+)", DOCKERFILE, re.MULTILINE)))


@pytest.mark.parametrize("files", [ONE, GPU, CLUSTER], ids=["one machine", "gpu", "cluster"])
def test_compose_passes_every_setting_of_pip_on_that_the_dockerfile_takes(files: list[str]) -> None:
    given = {name: f"the {name} of here" for name in PIP_SETTINGS}
    built = [service["build"]["args"] for service in services(files, **given).values() if "build" in service]
    assert built
    for arguments in built:
        assert {name: value for name, value in arguments.items() if name.startswith("PIP_")} == given


def test_make_image_passes_every_setting_of_pip_on_and_the_document_names_each() -> None:
    _, _, recipe = (ROOT / "Makefile").read_text().partition("\nimage:")
    recipe = recipe.partition("\n\n")[0]
    assert sorted(re.findall(r"--build-arg (PIP_\w+)", recipe)) == PIP_SETTINGS
    document = (ROOT / "docs/container.md").read_text()
    assert [name for name in PIP_SETTINGS if name not in document] == []


def image_environment() -> dict[str, str]:
    """The variables of DropViz that the image has by itself."""
    return dict(re.findall(r"\b(DROPVIZ_\w+)=(\S+)", DOCKERFILE))


def health_check(port: int) -> list[str]:
    """The image's own look at its health, at another port."""
    (words,) = re.findall(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    _, *arguments = json.loads(words.replace("8501", str(port)))
    return [sys.executable, *arguments]


@pytest.fixture
def listening_everywhere(tmp_path: Path) -> Iterator[int]:
    """The image's command and environment, at a free port; the port, once the image's health check is content."""
    (command,) = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    port = free_port()
    _, *arguments = json.loads(command)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DROPVIZ_")}
    own = image_environment() | {"DROPVIZ_DATA": str(tmp_path), "DROPVIZ_DEVICE": "cpu"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dropviz", *arguments, "--port", str(port)],
        cwd=ROOT,
        env=inherited | own,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=death_signal(),
    )
    try:
        wait_until(lambda: subprocess.run(health_check(port), capture_output=True).returncode == 0, "healthy")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def test_the_image_answers_to_this_machines_names_only_though_it_listens_to_every_address(
    listening_everywhere: int,
) -> None:
    def status(host: str) -> int:
        connection = HTTPConnection("127.0.0.1", listening_everywhere, timeout=30)
        try:
            connection.request("GET", "/lab", headers={"Host": host})
            return connection.getresponse().status
        finally:
            connection.close()

    for host in ("localhost:8501", "127.0.0.1:8501", "[::1]:8501", "localhost:9000"):
        assert status(host) == 200, host
    for host in ("evil.example", "evil.example:8501", "dropviz:8501"):
        assert status(host) == 421, host


@pytest.mark.parametrize(("files", "page"), [(ONE, "dropviz"), (GPU, "dropviz"), (CLUSTER, "page")])
def test_other_names_are_named_in_dropviz_env_and_compose_takes_none_back(
    tmp_path: Path, files: list[str], page: str
) -> None:
    assert "DROPVIZ_HOSTS" not in services(files)[page].get("environment", {}), "the image's own stays"
    for path in ROOT.glob("compose*.yaml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "dropviz.env").write_text("DROPVIZ_HOSTS=dropviz.example.org\n")
    assert services(files, tmp_path)[page]["environment"]["DROPVIZ_HOSTS"] == "dropviz.example.org"


def test_the_gpu_file_adds_only_the_device_and_the_build_for_it() -> None:
    (plain,), (gpu,) = (services(files, PIP_CERT="here").values() for files in (ONE, GPU))
    (device,) = gpu.pop("deploy")["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"], device["count"]) == ("nvidia", ["gpu"], -1)
    assert gpu["build"]["args"].pop("DEVICE") == "cuda"
    assert gpu.pop("image") == "dropviz:cuda"
    plain.pop("image"), plain["build"]["args"].pop("DEVICE", None)
    assert gpu == plain


def test_in_a_cluster_only_the_page_is_reached_from_outside_and_engines_are_several() -> None:
    found = services(CLUSTER)
    assert set(found) == {"page", "engine", "database"}
    assert [name for name, service in found.items() if service.get("ports")] == ["page"]
    assert [name for name, service in found.items() if "outside" in service["networks"]] == ["page"]
    assert found["page"]["environment"]["DROPVIZ_ENGINE"] == "none"
    assert "DROPVIZ_ENGINE" not in found["engine"]["environment"]
    assert found["engine"]["command"] == ["dropviz", "engine"]
    assert found["engine"]["deploy"]["replicas"] == 2
    assert found["page"]["volumes"] == found["engine"]["volumes"], "checkpoints are for whoever goes on"


def test_no_compose_file_holds_a_secret_and_a_missing_one_is_asked_for() -> None:
    done = config(CLUSTER)
    assert done.returncode != 0
    assert "put POSTGRES_PASSWORD=… into .env" in done.stderr
    for service in services(CLUSTER).values():
        assert "a secret" not in json.dumps(service.get("command") or "")
        assert "a secret" not in service["environment"].get("DROPVIZ_STORE", "")
    assert "\n.env\n" in (ROOT / ".gitignore").read_text()


def torch_build(folder: Path, wanted: str, cuda: str | None) -> subprocess.CompletedProcess[str]:
    """Runs setup/torch-build where a torch of some build is installed, whose libraries do not load."""
    (folder / "torch").mkdir()
    (folder / "torch/__init__.py").write_text("raise OSError('libcudart is not here')")
    (folder / "torch/version.py").write_text(f"__version__ = '2.13.0'\ncuda = {cuda!r}\n")
    command = [sys.executable, ROOT / "setup/torch-build", wanted]
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True
    )


@pytest.mark.parametrize("cuda", [None, "13.0"])
@pytest.mark.parametrize("wanted", ["", "cpu", "cuda"])
def test_a_build_of_pytorch_that_was_not_asked_for_ends_the_build_of_the_image(
    tmp_path: Path, wanted: str, cuda: str | None
) -> None:
    done = torch_build(tmp_path, wanted, cuda)
    assert f"built for {'CUDA 13.0' if cuda else 'CPUs'}\n" in done.stdout
    assert done.returncode == int(wanted not in ("", "cuda" if cuda else "cpu"))
    if done.returncode:
        assert f"--build-arg DEVICE={wanted} --build-arg PIP_EXTRA_INDEX_URL=" in done.stderr


def test_a_build_of_pytorch_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    done = torch_build(tmp_path, "tpu", None)
    assert done.returncode == 1
    assert "choose cpu or cuda" in done.stderr
