"""Several GPUs in one machine: what a child sees of them in its environment; and on a machine that has one, runs on it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from dropviz.experiment import ExperimentSpec
from tests.houses import House

# Children that only say what they see, and wait for each other: no torch, no CUDA.
LOOK = """
import json, os, sys, time
from dropviz.engine.nursery import Nursery
from dropviz.store import Claim

def look(claim, url, device, threads):
    line = json.dumps([claim.job_id, device, os.environ.get("CUDA_VISIBLE_DEVICES")])
    os.write(1, f"{line}\\n".encode())  # at once: where Python does not buffer, print() writes the line's end by itself
    if claim.job_id != 2:
        time.sleep(600)

if __name__ == "__main__":
    nursery = Nursery("", job=look)
    claim = lambda n: Claim(job_id=n, attempt=1, spec="", arm="", seeds=(), advance_once=False)
    children = [nursery.start(claim(n), 3) for n in (1, 2, 3)]
    children[1].join(60)
    nursery.bury(children[1])
    children = [children[0], children[2], *(nursery.start(claim(n), 3) for n in (4, 5))]
    sys.stdin.read()
    [child.kill() for child in children]
"""

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def seen(house: House, *, jobs: int = 5, **environment: str) -> dict[int, list[str]]:
    """Job → the device it was given and the GPUs it sees; of the first three, the second has ended before others begin."""
    script = house.folder / "look.py"
    script.write_text(LOOK)
    house.environment.update(environment)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=house.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = {job: rest for job, *rest in (json.loads(process.stdout.readline()) for _ in range(jobs))}
    process.communicate(timeout=30)
    return found


def test_each_child_sees_the_gpu_with_the_fewest_jobs(house: House) -> None:
    found = seen(house, DROPVIZ_DEVICE="cuda", CUDA_VISIBLE_DEVICES="4,GPU-b,7")
    assert [found[job] for job in (1, 2, 3)] == [["cuda", "4"], ["cuda", "GPU-b"], ["cuda", "7"]]
    assert [found[job] for job in (4, 5)] == [
        ["cuda", "GPU-b"],
        ["cuda", "4"],
    ]  # the second one's GPU was free again


@pytest.mark.parametrize(("device", "visible"), [("cuda:1", "0,1"), ("cuda", "3"), ("cpu", "0,1")])
def test_a_device_that_was_named_or_is_the_only_one_is_left_as_it_is(
    house: House, device: str, visible: str
) -> None:
    found = seen(house, DROPVIZ_DEVICE=device, CUDA_VISIBLE_DEVICES=visible)
    assert set(map(tuple, found.values())) == {(device, visible)}


@needs_cuda
def test_a_run_on_a_gpu_reaches_its_end(
    house: House, tiny: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.environment["DROPVIZ_DEVICE"] = "cuda"
    monkeypatch.setenv("DROPVIZ_DEVICE", "cuda")  # results are asked for where they are to be computed
    engine = house.start("-m", "dropviz.engine")
    view_id = house.store.submit(tiny)
    assert house.finish(view_id) == "done"
    engine.terminate()
    engine.communicate(timeout=20)


@needs_cuda
def test_a_run_that_needs_more_memory_than_the_gpu_has_fails_and_the_next_one_runs(
    house: House, tiny: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.environment["DROPVIZ_DEVICE"] = "cuda"
    monkeypatch.setenv("DROPVIZ_DEVICE", "cuda")
    engine = house.start("-m", "dropviz.engine")
    huge = tiny.with_settings(["model.widths=[60000,60000]", "seeds=64"])
    view_id = house.store.submit(huge)
    assert house.finish(view_id) == "failed"
    assert "ran out of memory" in str(house.job(view_id).error)
    assert house.finish(house.store.submit(tiny)) == "done"
    engine.terminate()
    engine.communicate(timeout=20)
