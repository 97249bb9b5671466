"""Workers that cannot do the work get none, and the engine's log says which, and what to do."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dropviz
from dropviz.engine.cluster.facts import Facts, objection
from dropviz.experiment import ExperimentSpec
from tests.engine.cluster.conftest import Site
from tests.engine.cluster.parts import WORKER

ENGINE = Facts(
    process="1",
    host="a",
    machine="m",
    code="c",
    torch="2.13.0",
    device="cpu",
    folder="/data/x",
    probe="p",
    engines=("e",),
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"code": "d"}, "DropViz's code is d there and c here: install the same version"),
        ({"torch": "2.12.0"}, "torch is 2.12.0 there and 2.13.0 here"),
        ({"daemon": True}, "start it with --no-nanny, or with DASK_DISTRIBUTED__WORKER__DAEMON=False"),
        ({"problem": "The disk is full."}, "The disk is full."),
        ({"device": "cuda"}, "trains on cuda, and this engine's runs are for cpu: set DROPVIZ_DEVICE"),
        ({"probe": ""}, "does not see the file that was just written to /data/x in /data/x"),
        ({"engines": ("f",)}, "its store is another one: set DROPVIZ_STORE"),
        (
            {"machine": "n", "host": "b"},
            r"another machine \(b\), and SQLite works on one only: set DROPVIZ_STORE",
        ),
    ],
)
def test_each_difference_has_a_sentence(change: dict[str, Any], said: str) -> None:
    same = replace(ENGINE, process="2")
    assert objection(same, ENGINE, one_machine=True) is None
    found = objection(replace(same, **change), ENGINE, one_machine=True)
    assert found is not None
    assert re.search(said, found)


def test_several_machines_may_share_a_store_that_works_on_several() -> None:
    assert objection(replace(ENGINE, machine="n"), ENGINE, one_machine=False) is None


@pytest.fixture
def other_code(tmp_path: Path) -> str:
    """A folder with another version of the program."""
    shutil.copytree(Path(dropviz.__file__).parent, tmp_path / "other" / "dropviz")
    with (tmp_path / "other" / "dropviz" / "masks.py").open("a") as file:
        file.write("# another version\n")
    return str(tmp_path / "other")


def test_unfit_workers_are_named_and_the_fit_one_does_the_work(
    site: Site, other_code: str, tmp_path: Path, tiny: ExperimentSpec, wait_for: Callable
) -> None:
    def without(*words: str) -> Sequence[str]:
        return [word for word in WORKER if word not in words]

    site.cluster.start()
    site.cluster.add("no-slots", line=without("--resources", "slot=1"))
    site.cluster.add("few-threads", "--resources", "slot=3", line=without("--resources", "slot=1"))
    site.cluster.add("daemon", nanny=True)
    site.cluster.add("elsewhere", DROPVIZ_DATA=str(tmp_path / "elsewhere"))
    site.cluster.add("on-cuda", DROPVIZ_DEVICE="cuda")
    site.cluster.add("other-code", PYTHONPATH=other_code)
    site.start_engine()
    said = {
        "it declares no slots: start it with --resources slot=1.",
        "it declares 3 slots and has 1 threads: start it with --nthreads 3.",
        "it is a daemonic process",
        "there is no store in",
        "it trains on cuda, and this engine's runs are for cpu",
        "DropViz's code is",
    }
    wait_for(lambda: all(sentence in site.said() for sentence in said), "all are named", 120)
    assert site.said().count("gets no jobs") == len(said)
    assert not (tmp_path / "elsewhere").exists()
    view_id = site.house.store.submit(tiny)
    site.cluster.add("fit")
    assert site.house.finish(view_id) == "done"


@pytest.mark.slow
def test_a_worker_under_a_nanny_works_with_the_setting_of_the_documents(
    site: Site, endless: ExperimentSpec, wait_for: Callable, alive: Callable
) -> None:
    site.cluster.start()
    site.cluster.add("kept", nanny=True, DASK_DISTRIBUTED__WORKER__DAEMON="False")
    site.start_engine()
    view_id = site.house.store.submit(endless)
    child = site.house.running_pid(view_id)
    parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    worker = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
    assert worker != site.cluster.processes["kept"].pid  # which is the nanny
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not alive(child), "no orphan", 10)
    wait_for(lambda: site.house.job(view_id).attempt == 2, "the nanny has started another", 120)
    site.house.running_pid(view_id)
    site.house.store.request(view_id, "stop")
    assert site.house.finish(view_id) == "stopped"
