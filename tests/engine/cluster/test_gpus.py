"""A worker's GPUs: what the children of one that was given one of them, or several, see in their environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dropviz.experiment import ExperimentSpec
from tests.engine.cluster.conftest import Site

# Loaded by a worker beside what all have: its children only say what they see, and stay. No torch, no CUDA.
LOOK = """
import json, os, time
from pathlib import Path

from dropviz import settings
from dropviz.engine.cluster import remote
from dropviz.engine.nursery import Nursery


def look(claim, url, device, threads):
    path = Path(os.environ["SEEN"]) / str(claim.job_id)
    whole = path.with_suffix(".part")
    whole.write_text(json.dumps([device, os.environ.get("CUDA_VISIBLE_DEVICES")]))
    whole.rename(path)
    time.sleep(600)


nursery = Nursery(settings.store_url(), job=look)
remote._nursery = lambda: nursery
"""

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def seen(site: Site, tmp_path: Path) -> Path:
    """A folder with what each child saw, in a file named by its job; of all workers that are started here."""
    folder = tmp_path / "seen"
    folder.mkdir()
    (tmp_path / "look_round.py").write_text(LOOK)
    environment = site.cluster.environment
    environment |= {"SEEN": str(folder), "DROPVIZ_DEVICE": "cuda"}
    environment["PYTHONPATH"] += f":{tmp_path}"
    return folder


def test_a_child_sees_the_gpus_that_its_worker_was_given_one_each(
    site: Site, seen: Path, tiny: ExperimentSpec, wait_for: Callable
) -> None:
    site.cluster.start()
    look = ("--preload", "look_round")
    site.cluster.add("one", *look, CUDA_VISIBLE_DEVICES="1")
    several = ("--resources", "slot=2", "--nthreads", "2")
    site.cluster.add("two", *look, *several, CUDA_VISIBLE_DEVICES="4,GPU-b")
    site.start_engine(DROPVIZ_DEVICE="cuda", CUDA_VISIBLE_DEVICES="0")
    site.wait_for_slots(3)
    for number in range(3):
        site.house.store.submit(tiny.with_settings([f"first_seed={10 * number}"]))
    found = lambda: [path for path in seen.iterdir() if not path.suffix]  # noqa: E731
    wait_for(lambda: len(found()) == 3, "three children have looked round")
    told = sorted(json.loads(path.read_text()) for path in found())
    assert told == [["cuda", "1"], ["cuda", "4"], ["cuda", "GPU-b"]]


@needs_cuda
def test_a_run_on_a_workers_gpu_reaches_its_end(
    site: Site, tiny: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_DEVICE", "cuda")  # which the run is asked for on
    site.cluster.environment["DROPVIZ_DEVICE"] = "cuda"
    site.cluster.start()
    site.cluster.add("one", CUDA_VISIBLE_DEVICES="0")
    site.start_engine(DROPVIZ_DEVICE="cuda")
    assert site.house.finish(site.house.store.submit(tiny)) == "done"
