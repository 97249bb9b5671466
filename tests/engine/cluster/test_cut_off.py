"""A machine that is cut off and comes back: a worker in a network namespace whose link goes down and up, over TLS."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec
from tests.engine.cluster.conftest import Site, open_site
from tests.engine.cluster.parts import make_certificates, tls_options, tls_settings
from tests.houses import House
from tests.postgres import MISSING, Server, installed

NEAR, FAR = "10.231.7.1", "10.231.7.2"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass(frozen=True)
class Island:
    """A network namespace with one link to this machine."""

    name: str

    @property
    def within(self) -> tuple[str, ...]:
        """What makes a command run there."""
        return ("ip", "netns", "exec", self.name)

    def link(self, state: str) -> None:
        """Set the link ``up`` or ``down``, on its far end."""
        ip("-n", self.name, "link", "set", "far0", state)


@pytest.fixture
def island() -> Iterator[Island]:
    name = f"dropviz{os.getpid()}"
    near = f"dv{os.getpid()}"
    if shutil.which("ip") is None:
        pytest.skip("there is no ip command here")
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this user may make no network namespaces here ({error.stderr.decode().strip()})")
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", "far0", "netns", name)
        ip("addr", "add", f"{NEAR}/30", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", name, "addr", "add", f"{FAR}/30", "dev", "far0")
        for device in ("far0", "lo"):
            ip("-n", name, "link", "set", device, "up")
        yield Island(name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this user may make no links here ({error.stderr.decode().strip()})")
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)  # and the link with it


@pytest.fixture(params=["of the scheduler alone", "of its store, too"])
def site(request: pytest.FixtureRequest, island: Island, tmp_path: Path) -> Iterator[Site]:
    """A site whose store is a file that both sides open, or a PostgreSQL on the near side."""
    if request.param == "of the scheduler alone":
        with open_site(tmp_path) as opened:
            yield opened
        return
    if not installed():
        pytest.skip(MISSING)
    database = Server(address=NEAR)
    try:
        with open_site(tmp_path, database.create()) as opened:
            yield opened
    finally:
        database.stop()


def test_a_worker_that_is_cut_off_loses_its_job_and_is_fenced_when_it_returns(
    island: Island,
    site: Site,
    served: House,
    endless: ExperimentSpec,
    tmp_path: Path,
    wait_for: Callable,
    alive: Callable,
    family: Callable,
) -> None:
    make_certificates(tmp_path)
    cluster, house = site.cluster, site.house
    cluster.host, cluster.tls = NEAR, tls_options(tmp_path)
    cluster.start()
    cluster.add("far", "--host", FAR, within=island.within)
    site.start_engine(**tls_settings(tmp_path))
    site.wait_for_slots(1)
    here, there = served.store.submit(endless), house.store.submit(endless)
    child = house.running_pid(there, step=200)
    processes = family(cluster.processes["far"].pid)
    assert child in processes
    cluster.add("near", "--host", NEAR)
    cut_at = house.job(there).step
    island.link("down")
    wait_for(lambda: house.job(there).attempt == 2 and house.job(there).pid, "taken up", 120)
    # Whichever is seen first: where it cannot write to the store either, that its lease runs out.
    reasons = (f"The cluster lost worker tls://{FAR}", "lease expired")
    assert any(reason in site.said() for reason in reasons)
    assert cluster.worker_of(house.running_pid(there)) == "near"
    if house.store.database.one_engine:  # it still reaches the store, which refuses it
        wait_for(lambda: not alive(child), "its child does not go on")
    site.wait_for_slots(1)  # its worker has been given up as well
    island.link("up")
    wait_for(lambda: not alive(child), "its child ends", 120)
    wait_for(lambda: not any(alive(pid) for pid in processes), "the worker that was given up ends", 120)
    cluster.processes.pop("far").wait(10)
    assert house.job(there).attempt == 2
    wait_for(lambda: min(house.job(there).step, served.job(here).step) > cut_at + 5000, "both go on")
    for one, view_id in ((house, there), (served, here)):
        one.store.request(view_id, "stop")
        assert one.finish(view_id) == "stopped"
    resumed, undisturbed = house.series(there), served.series(here)
    assert [seq for seq, *_ in resumed] == list(range(len(resumed)))
    shared = min(len(resumed), len(undisturbed))
    assert resumed[:shared] == undisturbed[:shared]
