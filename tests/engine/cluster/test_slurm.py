"""The documents' script for Slurm, as it stands there: its workers have the documented command line, and jobs run on them.

There is no Slurm here. In its place are two commands: ``sbatch`` runs a copy of what it is given in an environment of its own, and
``scancel`` asks its processes to end, and then ends them.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed.cli.dask_worker import main as worker_command

from dropviz.engine.cluster.security import security_for
from dropviz.engine.lifeline import death_signal
from dropviz.experiment import ExperimentSpec
from tests.engine.cluster.conftest import Site, open_site
from tests.engine.cluster.parts import DOCUMENT, command, make_certificates, tls_options, tls_settings
from tests.houses import family_of, free_port, is_alive, wait_until

ROOT = DOCUMENT.parents[1]
SBATCH = """#!/bin/bash
number=$(($(ls "$JOBS" | grep -c 'sh$') + 1))
cp "$1" "$JOBS/$number.sh"
env -i PATH=/usr/bin:/bin HOME="$HOME" PYTHONPATH="$PYTHONPATH" OMP_NUM_THREADS=1 \
  setsid bash "$JOBS/$number.sh" </dev/null >"$JOBS/$number.log" 2>&1 &
echo $! >"$JOBS/$number.pid"
echo "Submitted batch job $number"
"""
SCANCEL = """#!/bin/bash
group=$(cat "$JOBS/$1.pid")
kill -- "-$group"
(sleep 1; kill -9 -- "-$group") </dev/null >/dev/null 2>&1 &
"""


def documented_script(folder: Path, port: int) -> str:
    """The script, with places of this machine and one worker, which is soon replaced."""
    (text,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    changes = {"/shared/dropviz": str(folder), "10.0.0.5": "127.0.0.1", "8786": str(port)}
    for there, here in (changes | {"jobs=4": "jobs=1", "sleep(60)": "sleep(0.2)"}).items():
        assert text.count(there) >= 1
        text = text.replace(there, here)
    return text


@dataclass
class Slurm:
    """A script that runs, and the jobs that it has submitted."""

    site: Site
    process: subprocess.Popen[bytes]
    jobs: Path

    def job(self, number: int) -> str:
        """What was submitted as the job of this number, once it has been."""
        wait_until((self.jobs / f"{number}.pid").exists, f"job {number}")
        return (self.jobs / f"{number}.sh").read_text()

    def pid(self, number: int) -> int:
        """The leader of a job's processes."""
        return int((self.jobs / f"{number}.pid").read_text())


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """The script at work, on a store that only the file ``store.env`` names."""
    folder = tmp_path_factory.mktemp("shared")
    certificates = make_certificates(folder / "tls")
    for name in ("bin", "jobs"):
        (folder / name).mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    url = f"sqlite:///{folder}/its store.db"
    (folder / "store.env").write_text(f"export DROPVIZ_STORE={shlex.quote(url)}\n")
    with open_site(folder / "a site", url) as site:
        site.cluster.port, site.cluster.tls = free_port(), tls_options(certificates)
        environment = {
            key: value for key, value in site.cluster.environment.items() if key != "DROPVIZ_STORE"
        }
        environment |= {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "JOBS": str(folder / "jobs")}
        environment |= {"DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1s"}
        with (folder / "script.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", documented_script(folder, site.cluster.port)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=death_signal(),
            )
        opened = Slurm(site, process, folder / "jobs")
        try:
            opened.job(1)
            yield opened
        finally:
            process.kill()
            process.wait(10)
            for path in opened.jobs.glob("*.pid"):
                subprocess.run(["kill", "-9", "--", f"-{path.read_text().strip()}"], capture_output=True)


def options(words: list[str]) -> dict[str, Any]:
    """What Dask's command takes from these words: each of its options, also those that are not given."""
    assert words[0] == "worker"
    return worker_command.make_context("dask worker", words[1:]).params


def test_its_workers_have_the_documented_command_line(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(slurm.jobs.parent / "tls")  # where the certificates of the documented line are
    python, *words = shlex.split(slurm.job(1).strip().splitlines()[-1])
    assert [python, *words[:2]] == [sys.executable, "-m", "dask"]
    job = options(words[2:])
    line = options(command("--tls-key node.key tls://10.0.0.5:8786"))
    assert {key: (line[key], job[key]) for key in line if line[key] != job[key]} == {
        "scheduler": ("tls://10.0.0.5:8786", slurm.site.cluster.url),
        "host": ("10.0.0.7", None),
        "protocol": (None, "tls"),  # which that of the scheduler's address is anyway
        "name": (None, "SLURMCluster-0"),
        "death_timeout": (None, "60"),
    }
    assert (job["resources"], job["nthreads"], job["nanny"]) == ("slot=1", 1, False)


def test_its_jobs_ask_for_a_gpu_and_set_what_a_worker_needs(slurm: Slurm) -> None:
    lines = slurm.job(1).splitlines()
    assert {"#SBATCH --gres=gpu:1", "#SBATCH -n 1", "#SBATCH -t 08:00:00", "#SBATCH --mem=15G"} < set(lines)
    environment = slurm.site.house.environment
    assert f"export DROPVIZ_DATA={shlex.quote(environment['DROPVIZ_DATA'])}" in lines
    assert environment["DROPVIZ_STORE"] not in slurm.job(1)


def test_its_scheduler_is_the_documented_one(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, path in tls_settings(slurm.jobs.parent / "tls").items():
        monkeypatch.setenv(variable, path)
    line = command("dask scheduler --protocol tls")
    assert line[line.index("--dashboard-address") + 1] == "127.0.0.1:0"
    url = slurm.site.cluster.url
    with Client(url, security=security_for(url), set_as_default=False) as client:
        ttl, address, dashboards = client.run_on_scheduler(
            lambda dask_scheduler: (
                dask_scheduler.worker_ttl,
                dask_scheduler.address,
                {one.getsockname()[0] for one in dask_scheduler.http_server._sockets.values()},
            )
        )
    assert (ttl, address, dashboards) == (15, url, {"127.0.0.1"})
    assert "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL=15s dask scheduler --protocol tls" in DOCUMENT.read_text()


def test_runs_are_done_by_its_workers_and_a_job_that_ended_is_replaced(
    slurm: Slurm, tiny: ExperimentSpec, wait_for: Callable
) -> None:
    site, house = slurm.site, slurm.site.house
    site.start_engine(**tls_settings(slurm.jobs.parent / "tls"))
    site.wait_for_slots(1)
    assert house.finish(house.store.submit(tiny)) == "done"
    assert "worker tls://127.0.0.1:" in site.said()  # by the way to the scheduler
    os.killpg(slurm.pid(1), signal.SIGKILL)
    slurm.job(2)
    assert house.finish(house.store.submit(tiny.with_settings(["first_seed=10"]))) == "done"
    family = family_of(slurm.pid(2))
    assert len(family) > 1
    slurm.process.send_signal(signal.SIGINT)
    slurm.process.wait(30)
    wait_for(lambda: not any(is_alive(pid) for pid in family), "Ctrl-C has ended the jobs")


def test_the_documents_install_what_is_tested() -> None:
    pinned = re.findall(r"^dask-jobqueue==\S+", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    assert len(pinned) == 1
    assert f"`pip install -c constraints.txt {pinned[0]}`" in DOCUMENT.read_text("utf-8")
