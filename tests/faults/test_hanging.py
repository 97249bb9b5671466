"""Training that never comes back, and training that asks for more memory than there is."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec
from tests.faults.site import Site
from tests.faults.test_killed import checkpointed
from tests.houses import wait_until

EXTRA_BYTES = 400 * 2**20
# Where a control group's memory is limited, in the first and the second version of them, and the file that limits it.
GROUPS = {
    "/sys/fs/cgroup/memory": "memory.limit_in_bytes",
    "/sys/fs/cgroup": "memory.max",
}


@pytest.fixture
def starve() -> Iterator[Callable[[int], None]]:
    """Puts a process where no further page of memory is to be had: the kernel kills it when it asks for one."""
    group = None
    for folder, limit in GROUPS.items():
        with suppress(OSError):
            made = Path(folder) / f"dropviz-{os.getpid()}"
            made.mkdir()
            group = made
            (group / limit).write_text("4096")
            break
    else:
        if group is not None:
            group.rmdir()
        pytest.skip("nobody may limit the memory of a control group here")
    yield lambda pid: (group / "cgroup.procs").write_text(str(pid))
    for pid in (group / "cgroup.procs").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: not (group / "cgroup.procs").read_text(), "nobody is in the group")
    group.rmdir()


@pytest.fixture
def hanging(open_site: Callable[..., Site]) -> Site:
    """A site with little patience."""
    site = open_site(DROPVIZ_STEP_MINUTES="0.4")
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


def test_a_step_that_never_ends_and_lets_no_other_thread_run_fails_for_its_silence(
    hanging: Site, tiny: ExperimentSpec
) -> None:
    hanging.set_step("hang alone")
    view_id = hanging.store.submit(tiny, fresh=True)
    hanging.child_of(view_id, step=0)
    engine = hanging.process("engine")
    hanging.kill(engine, signal.SIGSTOP)  # which replaces it so soon that nobody need see it stalled
    hanging.page_says(view_id, "stalled")
    hanging.kill(engine, signal.SIGCONT)
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
    site: Site, long: ExperimentSpec, undisturbed: Callable[[Site, str], None], starve: Callable[[int], None]
) -> None:
    view_id = site.store.submit(long, fresh=True)
    child = site.child_of(view_id)
    checkpointed(site, view_id)
    starve(child)
    site.wait(lambda: site.store.experiment(view_id).jobs[0].attempt == 2, "another attempt")
    assert child not in [one.pid for one in site.processes()]
    undisturbed(site, view_id)
