"""A disk that is full, or cannot be written: the page says so, nothing is lost, and what ran goes on when that is over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dropviz.experiment import ExperimentSpec
from dropviz.store import StoreError
from dropviz.store.database.base import FULL, READ_ONLY
from tests.faults.disks import filled, needs_root, read_only, small_disk
from tests.faults.site import Site

pytestmark = needs_root
MEGABYTES = 48


def test_a_run_waits_for_space_and_the_page_says_why(
    tmp_path: Path,
    open_site: Callable[..., Site],
    long: ExperimentSpec,
    undisturbed: Callable[[Site, str], None],
) -> None:
    with small_disk(tmp_path / "data", MEGABYTES) as folder:
        site = open_site(folder)
        server = site.serve()
        site.answering()
        view_id = site.store.submit(long, fresh=True)
        child = site.child_of(view_id)
        with filled(folder):
            site.page_says(view_id, "stalled")
            assert server.live(view_id)["progress"]["message"] == FULL
            refused = _refused(site, long)
            assert "is full: make room" in str(refused)
            assert refused.told == FULL
            assert [one.pid for one in site.processes("child")] == [child]
        for line in site.store.experiments():
            if line.id != view_id:
                site.store.request(line.id, "stop")
        undisturbed(site, view_id)
        assert site.store.experiment(view_id).jobs[0].attempt == 1
        site.close()


def _refused(site: Site, spec: ExperimentSpec) -> StoreError:
    """Submit until that is refused: what fits into the pages that the log has already is still taken."""
    for seed in range(1000):
        try:
            site.store.submit(spec.with_settings([f"first_seed={seed}"]), fresh=True)
        except StoreError as error:
            return error
    raise AssertionError("a full disk took 1,000 experiments")


def test_files_that_cannot_be_written_are_waited_for(
    site: Site, long: ExperimentSpec, undisturbed: Callable[[Site, str], None]
) -> None:
    view_id = site.store.submit(long, fresh=True)
    child = site.child_of(view_id)
    waits = "waits: [Errno 30]"
    before = site.said().count(waits)
    with read_only(site.folder):  # the database's files are open already: only checkpoints and weights fail
        site.wait(lambda: site.said().count(waits) > before, "it waits")
        stood = site.store.experiment(view_id).jobs[0].step
        site.page_says(view_id, "stalled")
        assert site.answering().live(view_id)["progress"]["message"] == READ_ONLY
        assert [one.pid for one in site.processes("child")] == [child]
    site.wait(lambda: site.store.experiment(view_id).jobs[0].step > stood, "it goes on")
    undisturbed(site, view_id)
    assert site.store.experiment(view_id).jobs[0].attempt == 1


@pytest.mark.parametrize("what", ["full", "read-only"])
def test_a_server_does_not_start_where_it_cannot_write_and_says_so(
    tmp_path: Path, open_site: Callable[..., Site], what: str
) -> None:
    with small_disk(tmp_path / "data", 4) as folder, (filled if what == "full" else read_only)(folder):
        site = open_site(folder)
        server = site.serve()
        assert server.process.wait(120) == 2
        said = site.log.read_text()
        assert said.startswith("dropviz: ")
        assert said.count("\n") == 1
        assert str(folder) in said
        site.servers.clear()
