"""A machine that is cut off and comes back: a worker, over TLS, or an engine in a network namespace whose link goes down and up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

from dropviz.engine.lifeline import death_signal
from dropviz.experiment import ExperimentSpec
from tests.engine.cluster.conftest import Site, open_site
from tests.engine.cluster.parts import make_certificates, tls_options, tls_settings
from tests.houses import House, family_of, open_house, wait_until
from tests.postgres import MISSING, Server, installed, sending_rows

DEVICE = f"dv{os.getpid()}"  # the near end of the link
DENIED = ("Operation not permitted", "Permission denied")


class Denied(Exception):
    """Nobody may do this here."""


def ip(*arguments: str, within: Sequence[str] = ()) -> None:
    """Run a command of iproute2; fails with what it says, unless that is a matter of permission."""
    done = subprocess.run(
        [*within, "ip", *arguments], capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}
    )
    if done.returncode != 0:
        fail(f"ip {' '.join(arguments)}", done.stderr)


def fail(what: str, said: str) -> NoReturn:
    """Say why a command failed; by ``Denied`` where nobody may do it here."""
    sentence = f"{what}: {said.strip()}"
    raise Denied(sentence) if any(words in said for words in DENIED) else AssertionError(sentence)


@dataclass(frozen=True)
class Island:
    """A network namespace with one link to this machine. Both end with the process that holds it, and that with this one."""

    pid: int

    @property
    def within(self) -> tuple[str, ...]:
        """What makes a command run there."""
        return ("nsenter", "--net", "--target", str(self.pid))

    @property
    def near(self) -> str:
        """This machine's address on the link, on a network that other test runs on this machine hardly have."""
        return self._address(1)

    @property
    def far(self) -> str:
        """The address at the link's far end."""
        return self._address(2)

    def _address(self, host: int) -> str:
        number = os.getpid() * 4 % 2**16 + host
        return f"10.231.{number // 256}.{number % 256}"

    def connect(self) -> None:
        """Make the link."""
        ip("link", "add", DEVICE, "type", "veth", "peer", "name", "far0", "netns", str(self.pid))
        ip("addr", "add", f"{self.near}/30", "dev", DEVICE)
        ip("link", "set", DEVICE, "up")
        ip("addr", "add", f"{self.far}/30", "dev", "far0", within=self.within)
        for device in ("far0", "lo"):
            ip("link", "set", device, "up", within=self.within)

    def disconnect(self) -> None:
        """Remove the link at once; the kernel takes its time with what is in a namespace."""
        ip("link", "del", DEVICE)

    def link(self, state: str) -> None:
        """Set the link ``up`` or ``down``, on its far end."""
        ip("link", "set", "far0", state, within=self.within)


@pytest.fixture
def island() -> Iterator[Island]:
    if not all(shutil.which(command) for command in ("ip", "unshare", "nsenter")):
        pytest.skip("there are no commands ip, unshare and nsenter here")
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo there; exec sleep infinity"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
        preexec_fn=death_signal(),
    ) as holder:
        try:
            if not holder.stdout.readline():
                fail("unshare", holder.stderr.read())
            made = Island(holder.pid)
            made.connect()
            yield made
            made.disconnect()
        except Denied as error:
            pytest.skip(f"nobody may make network namespaces here ({error})")
        finally:
            holder.kill()


@pytest.fixture
def database(island: Island) -> Iterator[Server]:
    """A PostgreSQL on the near side, which the far side reaches by its link."""
    if not installed():
        pytest.skip(MISSING)
    server = Server(address=island.near)
    yield server
    server.stop()


@pytest.fixture(params=[pytest.param("of the scheduler alone", marks=pytest.mark.slow), "of its store, too"])
def site(request: pytest.FixtureRequest, island: Island, tmp_path: Path) -> Iterator[Site]:
    """A site whose store is a file that both sides open, or a PostgreSQL on the near side."""
    elsewhere = request.param == "of its store, too"
    with open_site(tmp_path, request.getfixturevalue("database").create() if elsewhere else "") as opened:
        yield opened


def test_what_fails_for_another_reason_than_permission_is_no_reason_to_skip(island: Island) -> None:
    with pytest.raises(AssertionError, match=r"^ip link add .*: .*File exists"):
        island.connect()


def check_that_both_go_on_alike(house: House, there: str, served: House, here: str) -> None:
    """The run that was taken up has the points of one that nothing disturbed, without a hole."""
    cut_at = house.job(there).step
    wait_until(lambda: min(house.job(there).step, served.job(here).step) > cut_at + 2000, "both go on", 180)
    for one, view_id in ((house, there), (served, here)):
        one.store.request(view_id, "stop")
        assert one.finish(view_id) == "stopped"
    resumed, undisturbed = house.series(there), served.series(here)
    assert [seq for seq, *_ in resumed] == list(range(len(resumed)))
    shared = min(len(resumed), len(undisturbed))
    assert resumed[shared - 1][1] > cut_at
    assert resumed[:shared] == undisturbed[:shared]


@dataclass(frozen=True)
class Lost:
    """A run that was taken up at the worker ``near`` when the link of ``far`` went down."""

    run: str
    child: int  # of the attempt before
    family: set[int]  # of the worker ``far``


def cut_off(site: Site, island: Island, endless: ExperimentSpec, folder: Path) -> Lost:
    """Start a run on a worker over TLS, cut that one off, and wait until another one has taken the run up."""
    make_certificates(folder)
    cluster, house = site.cluster, site.house
    cluster.host, cluster.tls = island.near, tls_options(folder)
    cluster.start()
    cluster.add("far", "--host", island.far, within=island.within)
    site.start_engine(**tls_settings(folder))
    site.wait_for_slots(1)
    run = house.store.submit(endless)
    lost = Lost(run, house.running_pid(run, step=200), family_of(cluster.processes["far"].pid))
    assert lost.child in lost.family
    cluster.add("near", "--host", island.near)
    island.link("down")
    wait_until(lambda: house.job(run).attempt == 2 and house.job(run).pid, "taken up", 120)
    assert cluster.worker_of(house.running_pid(run)) == "near"
    return lost


def test_a_worker_that_is_cut_off_loses_its_job_and_is_fenced_when_it_returns(
    island: Island, site: Site, served: House, endless: ExperimentSpec, tmp_path: Path, alive: Callable
) -> None:
    cluster, house = site.cluster, site.house
    here, lost = served.store.submit(endless), cut_off(site, island, endless, tmp_path)
    # Whichever is seen first: where it cannot write to the store either, that its lease runs out.
    reasons = (f"The cluster lost worker tls://{island.far}", "lease expired")
    assert any(reason in site.said() for reason in reasons)
    if house.store.database.one_engine:  # it still reaches the store, which refuses it
        wait_until(lambda: not alive(lost.child), "its child does not go on")
    given_up = f"Remove worker addr: tls://{island.far}"
    wait_until(lambda: given_up in cluster.log("scheduler"), "its worker is given up, too")
    island.link("up")
    wait_until(lambda: not alive(lost.child), "its child ends", 120)
    cluster.wait_for_end("far", lost.family, 120)
    assert house.job(lost.run).attempt == 2
    check_that_both_go_on_alike(house, lost.run, served, here)


@pytest.mark.parametrize("site", ["of its store, too"], indirect=True)
def test_a_worker_that_returns_before_it_is_given_up_ends_its_old_child_and_takes_jobs_again(
    island: Island, site: Site, served: House, endless: ExperimentSpec, tmp_path: Path, alive: Callable
) -> None:
    cluster, house = site.cluster, site.house
    cluster.ttl = cluster.environment["DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP"] = "300s"
    here, lost = served.store.submit(endless), cut_off(site, island, endless, tmp_path)
    island.link("up")
    wait_until(lambda: not alive(lost.child), "its child ends", 120)
    other = house.store.submit(endless.with_settings(["first_seed=50"]))
    assert house.running_pid(other) in family_of(cluster.processes["far"].pid)
    house.store.request(other, "stop")
    assert house.job(lost.run).attempt == 2
    check_that_both_go_on_alike(house, lost.run, served, here)


def test_who_is_cut_off_while_rows_are_sent_loses_the_session(
    island: Island, database: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    house = open_house(tmp_path, database.create())
    with (
        closing(house.store),
        sending_rows("alone", "SELECT 1", environment=house.environment, within=island.within),
    ):
        island.link("down")
        with house.store.database.write():  # there is no engine: the server sees it by itself
            pass


@dataclass
class Fleet:
    """Engines by their command, on the store of one house."""

    house: House
    engines: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, within: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start one, and wait until it is registered."""
        with (self.house.folder / f"engine {len(self.engines)}.log").open("wb") as log:
            engine = subprocess.Popen(
                [*within, sys.executable, "-m", "dropviz.cli", "engine"],
                env=self.house.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=death_signal(),
            )
        self.engines.append(engine)
        wait_until(lambda: len(self.there()) == len(self.engines), "the engine is registered")
        return engine

    def there(self) -> set[int]:
        """The engines that the store knows."""
        return {worker.pid for worker in self.house.store.workers()}


@pytest.fixture
def fleet(database: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """A house on a PostgreSQL on the near side, without engines."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("DROPVIZ_DATA", str(folder))
    opened = Fleet(open_house(folder, database.create()))
    yield opened
    for engine in opened.engines:
        engine.terminate()
    for engine in opened.engines:
        engine.wait(30)
    opened.house.store.close()


def test_an_engine_that_is_cut_off_loses_its_job_and_goes_on_with_others_when_it_returns(
    island: Island,
    fleet: Fleet,
    served: House,
    endless: ExperimentSpec,
    wait_for: Callable,
    alive: Callable,
    family: Callable,
) -> None:
    house = fleet.house
    far = fleet.start(island.within)
    (cut_off,) = fleet.there()
    here, there = served.store.submit(endless), house.store.submit(endless)
    child = house.running_pid(there, step=200)
    assert {cut_off, child} < family(far.pid)
    near = fleet.start()
    island.link("down")
    wait_for(lambda: house.job(there).attempt == 2 and house.job(there).pid, "taken up", 120)
    assert house.running_pid(there) in family(near.pid)
    wait_for(lambda: cut_off not in fleet.there(), "it is forgotten")
    island.link("up")
    wait_for(lambda: cut_off in fleet.there(), "the same engine is back", 120)
    wait_for(lambda: not alive(child), "its child ends", 120)
    other = house.store.submit(endless.with_settings(["first_seed=50"]))
    assert house.running_pid(other) in family(far.pid)
    house.store.request(other, "stop")
    assert house.job(there).attempt == 2
    check_that_both_go_on_alike(house, there, served, here)
