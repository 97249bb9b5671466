"""Where jobs run, and on what: what the settings say, and the sentences where that is not possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropviz import settings


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
    monkeypatch.setattr(settings, "NVIDIA_GPUS", tmp_path / "none")
    assert settings.gpus() == []
    for bus in ("0000:3b:00.0", "0000:d8:00.0"):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
    monkeypatch.setattr(settings, "NVIDIA_GPUS", tmp_path / "gpus")
    assert settings.gpus() == ["0", "1"]


def test_hidden_gpus_leave_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "NVIDIA_DRIVER", tmp_path)
    monkeypatch.setattr(settings, "version_of", lambda _: "2.13.0")
    monkeypatch.delenv("DROPVIZ_DEVICE", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert settings.device() == "cuda"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert settings.device() == "cpu"
