"""Files that were damaged: a checkpoint is not resumed, and a database is refused with a sentence, also in the middle of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from dropviz.experiment import ExperimentSpec
from tests.faults.site import Site


def flip_a_bit(path: Path) -> None:
    """In the middle of the tensors, where the format notices nothing."""
    content = bytearray(path.read_bytes())
    content[-len(content) // 3] ^= 1
    path.write_bytes(content)


def replace_by_nan(path: Path) -> None:
    """With the names, shapes and place that were there."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        place = file.metadata()
    state = {name: value.clone() for name, value in load_file(path).items()}
    for value in state.values():
        if value.is_floating_point():
            value.fill_(float("nan"))
    save_file(state, path, place)


@pytest.mark.parametrize("damage", [flip_a_bit, replace_by_nan])
def test_a_run_whose_checkpoint_was_damaged_starts_over_and_ends_the_same(
    site: Site, long: ExperimentSpec, undisturbed: Callable[[Site, str], None], damage: Callable
) -> None:
    view_id = site.store.submit(long, fresh=True)
    site.child_of(view_id)
    site.store.request(view_id, "pause")
    site.page_says(view_id, "paused")
    damage(site.checkpoint(site.store.experiment(view_id).jobs[0].id))
    site.store.request(view_id, "run")
    undisturbed(site, view_id)
    assert site.store.experiment(view_id).jobs[0].epoch == 1  # all points were taken back


@pytest.mark.parametrize("foreign", [False, True])
def test_a_server_refuses_a_database_that_is_not_its_own(
    open_site: Callable[..., Site], foreign: bool
) -> None:
    site = open_site()
    site.folder.mkdir()
    path = site.folder / "dropviz.db"
    if foreign:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE notes (text)")
    else:
        path.write_bytes(b"these are my notes, and not a database" * 1000)
    content = path.read_bytes()
    server = site.serve()
    assert server.process.wait(120) == 2
    assert ("another program" if foreign else "not a readable database") in site.log.read_text()
    assert path.read_bytes() == content
    site.servers.clear()


def test_a_database_that_is_damaged_while_it_is_served_is_said_to_be(
    open_site: Callable[..., Site], endless: ExperimentSpec
) -> None:
    site = open_site()
    server = site.serve()
    site.answering()
    view_id = site.store.submit(endless)
    site.child_of(view_id)
    site.forget_store()
    for path in (site.folder / "dropviz.db", site.folder / "dropviz.db-wal"):
        with path.open("r+b") as file:
            size = path.stat().st_size
            file.write(b"\xff" * size)
    site.in_time(lambda: server.live(view_id).get("status") == 503, "that it is refused")
    told = server.live(view_id)["error"]
    assert told.startswith("The server cannot use its store at the moment")
    assert str(site.folder) not in told
    site.wait(lambda: "is not a readable database: move it away" in site.log.read_text(), "the log says so")
    assert server.healthy()
