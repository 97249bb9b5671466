"""Where jobs run, and on what: what the settings say, and the sentences where that is not possible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dropviz import settings


@pytest.mark.parametrize(
    "text",
    [
        "local",
        "none",
        "tls://10.0.0.5:8786",
        "tls://[2001:db8::1]:8786",
        "tls://hpc:1",
        "tcp://127.0.0.1:8786",
        "tcp://[::1]:8786",
    ],
)
def test_an_engine_is_local_or_a_scheduler(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_ENGINE", f" {text} ")
    assert settings.engine() == text


@pytest.mark.parametrize(
    "text",
    [
        "dask",
        "tcp://",
        "tls://host",
        "tls://:8786",
        "tls://host:port",
        "tls://host:99999",
        "http://127.0.0.1:80",
        "tls://host:8786/path",
        "tls://host:8786?x",
        "tls://[::1:8786",
        "local:8786",
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_ENGINE", text)
    with pytest.raises(ValueError, match="write local, none, tls://HOST:PORT") as caught:
        settings.engine()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "host", ["10.0.0.5", "cluster.example", "0.0.0.0", "127.0.0.1.example", "[2001:db8::1]"]
)
def test_an_engine_beyond_this_machine_needs_certificates(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_ENGINE", f"tcp://{host}:8786")
    with pytest.raises(ValueError, match="unencrypted") as caught:
        settings.engine()
    assert f"write tls://{host}:8786" in str(caught.value)
    assert "DROPVIZ_TLS_KEY" in str(caught.value)


def test_a_user_in_the_address_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_ENGINE", "tls://me:pass@host:8786")
    with pytest.raises(ValueError, match="write tls://host:8786") as caught:
        settings.engine()
    assert "pass" not in str(caught.value)


def test_files_of_certificates_are_named_if_they_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CA", "CERT", "KEY"):
        monkeypatch.delenv(f"DROPVIZ_TLS_{name}", raising=False)
    with pytest.raises(ValueError, match="DROPVIZ_TLS_CA is not set"):
        settings.tls_files()
    monkeypatch.setenv("DROPVIZ_TLS_CA", str(tmp_path / "ca.pem"))
    with pytest.raises(ValueError, match=r"DROPVIZ_TLS_CA = .*ca\.pem' cannot be read \(No such file"):
        settings.tls_files()
    monkeypatch.setenv("DROPVIZ_TLS_CA", str(tmp_path))
    with pytest.raises(ValueError, match=r"cannot be read \(Is a directory"):
        settings.tls_files()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0,1", ["0", "1"]),
        (" 3 , GPU-8f6d", ["3", "GPU-8f6d"]),
        ("", []),
        ("-1", []),
        ("1,-1,2", ["1"]),
        ("MIG-a/1/0", ["MIG-a/1/0"]),
    ],
)
def test_visible_gpus_are_read_as_cuda_reads_them(
    text: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    assert settings.gpus() == names


def test_without_the_variable_the_driver_says_how_many_gpus_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(settings.machine, "NVIDIA_GPUS", tmp_path / "none")
    assert settings.gpus() == []
    for bus in ("0000:3b:00.0", "0000:d8:00.0"):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
    monkeypatch.setattr(settings.machine, "NVIDIA_GPUS", tmp_path / "gpus")
    assert settings.gpus() == ["0", "1"]


def test_hidden_gpus_leave_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings.machine, "NVIDIA_DRIVER", tmp_path)
    monkeypatch.setattr(settings.machine, "version_of", lambda _: "2.13.0")
    monkeypatch.delenv("DROPVIZ_DEVICE", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert settings.device() == "cuda"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert settings.device() == "cpu"


def test_only_an_engine_that_is_to_use_a_cluster_loads_dask() -> None:
    code = "import sys, dropviz.web.server, dropviz.engine.__main__; print({'dask', 'distributed'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "set()"
