"""Training that never comes back, and training that asks for more memory than there is."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec
from tests.faults.site import WORKERS, Site
from tests.houses import wait_until

EXTRA_BYTES = 400 * 2**20
# Control groups of both versions: where they are, what limits memory, and what counts kills.
GROUPS = (
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"),
    ("/sys/fs/cgroup", "memory.max", "memory.events"),
)


@dataclass(frozen=True)
class Starving:
    """A control group of processes for which there is no further page of memory: the kernel kills who asks for one."""

    folder: Path
    counting: str

    @property
    def members(self) -> list[int]:
        """The processes that are in it."""
        return [int(pid) for pid in (self.folder / "cgroup.procs").read_text().split()]

    def take(self, pid: int) -> None:
        """Put a process in it; what it has, it keeps."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    @property
    def kills(self) -> int:
        """How many the kernel has killed."""
        words = (self.folder / self.counting).read_text().split()
        return int(words[words.index("oom_kill") + 1])


@pytest.fixture
def starving() -> Iterator[Starving]:
    there = [one for one in GROUPS if Path(one[0], "cgroup.procs").exists()]
    if not there:
        pytest.skip("there are no control groups here")
    parent, limit, counting = there[0]
    made = Starving(Path(parent) / f"dropviz-{os.getpid()}", counting)
    try:
        made.folder.mkdir()
    except OSError as error:
        pytest.skip(f"nobody may make a control group here ({error})")
    try:
        if not (made.folder / limit).exists():
            pytest.skip("control groups limit no memory here")
        for name, value in {limit: "4096", "memory.swap.max": "0", "memory.swappiness": "0"}.items():
            if (made.folder / name).exists():
                (made.folder / name).write_text(value)
        yield made
        for pid in made.members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not made.members, "nobody is in the group")
    finally:
        made.folder.rmdir()


@pytest.fixture(params=["here", pytest.param("cluster", marks=pytest.mark.slow)])
def hanging(open_site: Callable[..., Site], request: pytest.FixtureRequest) -> Site:
    """A site with little patience; also with two workers of a cluster."""
    there = request.param == "cluster"
    database = request.getfixturevalue("postgres_server") if there else None
    site = open_site(database=database, DROPVIZ_STEP_MINUTES="0.4")
    if there:
        site.start_cluster(*WORKERS)
    site.serve()
    site.answering()
    return site


def test_a_step_that_never_ends_is_said_to_be_stalled_and_fails_with_the_place_where_it_hangs(
    hanging: Site, tiny: ExperimentSpec
) -> None:
    hanging.set_step("hang")
    view_id = hanging.store.submit(tiny)
    hanging.page_says(view_id, "stalled")
    assert hanging.answering().live(view_id)["progress"]["idle"]
    assert hanging.finish(view_id) == "failed"
    job = hanging.store.experiment(view_id).jobs[0]
    assert job.error == (
        "The training process made no step for 0.4 minutes (DROPVIZ_STEP_MINUTES), so it was ended."
    )
    assert "in linger" in job.traceback


@pytest.mark.parametrize("told", ["hang", "hang alone"])
def test_a_step_that_never_ends_is_stopped_with_its_process(
    hanging: Site, tiny: ExperimentSpec, told: str
) -> None:
    hanging.set_step(told)
    view_id = hanging.store.submit(tiny, fresh=True)
    child = hanging.child_of(view_id, step=0)
    hanging.store.request(view_id, "stop")
    hanging.wait(lambda: child not in [one.pid for one in hanging.processes()], "it is gone")
    hanging.page_says(view_id, "stopped")


@pytest.mark.slow
def test_a_step_that_never_ends_and_lets_no_other_thread_run_fails_for_its_silence(
    hanging: Site, tiny: ExperimentSpec
) -> None:
    hanging.set_step("hang alone")
    view_id = hanging.store.submit(tiny, fresh=True)
    hanging.child_of(view_id, step=0)
    with hanging.frozen(hanging.process("engine")):  # it would replace the child before the page says so
        hanging.page_says(view_id, "stalled")
    assert hanging.finish(view_id) == "failed"
    assert "was silent for 10 seconds, 3 times" in hanging.store.experiment(view_id).jobs[0].error


def test_a_run_that_asks_for_too_much_memory_fails_and_the_next_one_does_not(
    open_site: Callable[..., Site], tiny: ExperimentSpec
) -> None:
    site = open_site()  # of its own: a failed run is an unexpected one wherever faults are looked for
    site.serve()
    site.answering()
    assert site.finish(site.store.submit(tiny, fresh=True)) == "done"
    server = site.process("fork server")
    used = next(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{server}/status").read_text().splitlines()
        if line.startswith("VmSize")
    )
    old = resource.prlimit(server, resource.RLIMIT_AS, (used + EXTRA_BYTES, resource.RLIM_INFINITY))
    try:
        view_id = site.store.submit(tiny.with_settings(["model.widths=[4000,4000]"]), fresh=True)
        assert site.finish(view_id) == "failed"
    finally:
        resource.prlimit(server, resource.RLIMIT_AS, old)
    assert site.store.experiment(view_id).jobs[0].error == (
        "The device ran out of memory: fewer seeds, a smaller model or smaller minibatches need less."
    )
    again = site.store.submit(tiny, fresh=True)
    assert site.finish(again) == "done"
    assert site.process("fork server") == server


def test_a_child_that_the_kernel_kills_for_want_of_memory_is_replaced(
    site: Site, long: ExperimentSpec, undisturbed: Callable[[Site, str], None], starving: Starving
) -> None:
    view_id = site.store.submit(long, fresh=True)
    child = site.child_of(view_id)
    site.checkpointed(view_id)
    starving.take(child)
    site.wait(lambda: starving.kills == 1, "the kernel kills it")
    site.wait(lambda: site.store.experiment(view_id).jobs[0].attempt == 2, "another attempt")
    assert child not in [one.pid for one in site.processes()]
    undisturbed(site, view_id)
