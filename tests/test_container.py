"""What the container's files promise, as far as it shows without building anything; `make image-test` does the rest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = Path(sys.executable).with_name("docker-compose")
ONE, GPU, CLUSTER = ["compose.yaml"], ["compose.yaml", "compose.gpu.yaml"], ["compose.cluster.yaml"]


def config(files: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """What docker compose itself makes of the files; it asks no engine for that."""
    chosen = [part for name in files for part in ("-f", str(ROOT / name))]
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("POSTGRES", "DROPVIZ"))
    }
    return subprocess.run(
        [COMPOSE, *chosen, "--env-file", os.devnull, "config", "--format", "json"],
        env=outside | environment,
        capture_output=True,
        text=True,
    )


def services(files: list[str]) -> dict[str, Any]:
    done = config(files, POSTGRES_PASSWORD="a secret")
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


def test_the_gpu_file_adds_only_the_device_and_the_build_for_it() -> None:
    (plain,), (gpu,) = services(ONE).values(), services(GPU).values()
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
