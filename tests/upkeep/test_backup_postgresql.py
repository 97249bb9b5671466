"""A store on PostgreSQL, backed up while it is used and restored, by the very commands of the documents."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors import safe_open

from dropviz.commands.upkeep.backup import backup
from dropviz.commands.upkeep.restore import restore
from dropviz.engine.checkpoints import Checkpoints
from dropviz.experiment import ExperimentSpec, preset
from tests import postgres
from tests.houses import House, open_house, wait_until
from tests.upkeep.documented import Shell, blocks, steps

HEADING = "Backup and restore on PostgreSQL"
ADDRESS = "postgresql://dropviz@db.example.org"
SECRET = b"signs links"
TAKING = {
    "clusters.md": lambda: blocks("clusters.md", HEADING)[0],
    "container.md": lambda: blocks("container.md", "Backup and restore")[2],
}
RESTORING = {
    "clusters.md": lambda: blocks("clusters.md", HEADING)[1:3],
    "container.md": lambda: blocks("container.md", "Backup and restore")[3:],
}
LAST_STEP = 4000


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A database server with a user for DropViz, who may do what owners may."""
    if not postgres.installed():
        pytest.skip(postgres.MISSING)
    running = postgres.Server()
    running.execute(f"CREATE ROLE dropviz LOGIN PASSWORD '{postgres.PASSWORD}'")
    running.execute("CREATE DATABASE dropviz OWNER dropviz")
    yield running
    running.stop()


@dataclass
class Used:
    """A store that was backed up while a run was under way, and what became of that run undisturbed."""

    folder: Path
    done: str
    under_way: str
    weights_of_done: list[tuple[str, bytes]]
    backups: dict[str, Shell]
    series: list
    weights: list


@pytest.fixture(scope="module")
def used(server: postgres.Server, tmp_path_factory: pytest.TempPathFactory) -> Used:
    """Backups by the commands of both documents; from one command to the next the run goes on to a further checkpoint."""
    folder = tmp_path_factory.mktemp("used")
    with at(server, folder / "data") as house, house.engine():
        done = house.store.submit(spec("train.steps=100"))
        assert house.finish(done) == "done"
        house.store.database.beside(".secret").write_bytes(SECRET)
        under_way = house.store.submit(spec(f"train.steps={LAST_STEP}"))
        stop_the_process(house, under_way)
        backups = {document: shell_of(server, folder / document) for document in TAKING}
        commands = {document: steps(block()) for document, block in TAKING.items()}
        for _ in ("checkpoints", "database", "other files"):
            go_on(house, under_way)
            for document, shell in backups.items():
                shell.run(adapted(commands[document].pop(0), server), house.folder)
        assert not any(commands.values())
        assert house.job(under_way).state == "running", "the test is of no use if it is done already"
        os.kill(house.running_pid(under_way, 0), signal.SIGCONT)
        assert house.finish(under_way) == "done"
        found = Used(
            folder=house.folder,
            done=done,
            under_way=under_way,
            weights_of_done=house.weights(done),
            backups=backups,
            series=house.series(under_way),
            weights=house.weights(under_way),
        )
    return found  # pages and engines are stopped by then


def spec(*changes: str) -> ExperimentSpec:
    settings = [
        'arms=["dropout"]',
        "seeds=2",
        "model.widths=[8]",
        "observe.evaluations=50",
        "observe.statistics=0",
    ]
    return preset("noisy-digits").with_settings([*settings, *changes])


@contextmanager
def at(server: postgres.Server, folder: Path, database: str = "dropviz") -> Iterator[House]:
    """A house on a database of the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DROPVIZ_DATA", str(folder))
        patch.setenv("DROPVIZ_DEVICE", "cpu")
        opened = open_house(folder, server.url(database, user="dropviz"))
        try:
            yield opened
        finally:
            opened.store.close()


def go_on(house: House, view_id: str) -> None:
    """Let a run get to its next evaluation, where it pauses and so makes a checkpoint; then stop its next process."""
    process = house.running_pid(view_id, 0)
    house.store.request(view_id, "pause")
    os.kill(process, signal.SIGCONT)
    wait_until(lambda: house.job(view_id).state == "paused", "it pauses")
    before = house.job(view_id).step
    house.store.request(view_id, "step")
    wait_until(lambda: house.job(view_id).step > before and house.job(view_id).state == "paused", "a step")
    house.store.request(view_id, "run")
    stop_the_process(house, view_id)


def stop_the_process(house: House, view_id: str) -> None:
    """Or the run might be done before the backup is."""
    os.kill(house.running_pid(view_id, 0), signal.SIGSTOP)


def shell_of(server: postgres.Server, folder: Path) -> Shell:
    """With PostgreSQL's programs, which find the server, and its administrator's name."""
    programs = postgres.programs()
    assert programs is not None
    named = {
        "PGHOST": server.address,
        "PGPORT": str(server.port),
        "PGUSER": "owner",
        "PGPASSWORD": postgres.PASSWORD,
    }
    return Shell(folder, programs, **named)


def adapted(script: str, server: postgres.Server, database: str = "dropviz") -> str:
    """A script with the address of the server that is here."""
    return script.replace(
        f"{ADDRESS}/dropviz", f"postgresql://dropviz@{server.address}:{server.port}/{database}"
    )


def saved_step(house: House, view_id: str) -> int:
    """The step of a run's checkpoint that its next attempt begins at: it is of this run, and not ahead of its points."""
    job = house.job(view_id)
    with safe_open(Checkpoints(house.store).path(job.id), framework="numpy") as file:
        place = file.metadata()
    assert int(place["seq"]) <= house.store.last_seq(job.id), "the checkpoint is of points that are not there"
    return int(place["step"])


@pytest.mark.parametrize("document", RESTORING)
def test_what_the_commands_of_a_document_kept_is_all_there_and_the_run_goes_on_to_the_same_numbers(
    server: postgres.Server, used: Used, tmp_path: Path, document: str
) -> None:
    in_a_container = document == "container.md"  # there DropViz's user is the administrator, too
    server.execute(f"ALTER ROLE dropviz {'SUPERUSER' if in_a_container else 'NOSUPERUSER'}")
    data = tmp_path / "data"
    shutil.copytree(used.folder, data)
    for block in RESTORING[document]():
        used.backups[document].run(adapted(block, server), data)
    server.execute("DROP DATABASE dropviz_replaced")
    (aside,) = data.glob("replaced-*")
    assert [path for path in aside.iterdir() if path.suffix == ".weights"], "what was there is kept"
    shutil.rmtree(aside)

    with at(server, data) as restored:
        assert [restored.job(view_id).state for view_id in (used.done, used.under_way)] == ["done", "running"]
        assert restored.weights(used.done) == used.weights_of_done
        assert restored.store.database.beside(".secret").read_bytes() == SECRET
        assert 0 < saved_step(restored, used.under_way) <= restored.job(used.under_way).step < LAST_STEP
        with restored.engine():
            assert restored.finish(used.under_way) == "done"
        assert restored.series(used.under_way) == used.series
        assert restored.weights(used.under_way) == used.weights


def test_under_another_name_the_files_are_found_once_they_are_renamed(
    server: postgres.Server, used: Used, tmp_path: Path
) -> None:
    server.execute("CREATE DATABASE other OWNER dropviz")
    data = tmp_path / "data"
    data.mkdir()
    _, _, fill, rename = blocks("clusters.md", HEADING)
    shell = used.backups["clusters.md"]
    shell.run(adapted(fill, server, "other"), data)
    with at(server, data, "other") as restored:
        assert not restored.store.weights.folder.exists()
    shell.run(f'cd "$DROPVIZ_DATA"\n{rename}', data)
    with at(server, data, "other") as restored:
        assert restored.weights(used.done) == used.weights_of_done
        assert restored.store.database.beside(".secret").read_bytes() == SECRET
        assert saved_step(restored, used.under_way) > 0


def test_a_backup_is_readable_by_its_user_alone_and_has_no_drafts_and_no_data_sets(used: Used) -> None:
    import tarfile

    for shell in used.backups.values():
        kept = {path.name for path in shell.folder.iterdir() if path.is_file()}
        assert kept == {"checkpoints.tar", "dropviz.dump", "files.tar"}
        assert not any((shell.folder / name).stat().st_mode & 0o077 for name in kept)
        with tarfile.open(shell.folder / "checkpoints.tar") as tar:
            assert all(Path(name).suffix in (".checkpoints", ".safetensors") for name in tar.getnames())
        with tarfile.open(shell.folder / "files.tar") as tar:
            names = tar.getnames()
        assert not [
            name for name in names if name.endswith(".tmp") or "checkpoints" in name or "datasets" in name
        ]


def test_the_commands_of_dropviz_send_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DROPVIZ_STORE", "postgresql+psycopg://dropviz@db.example.org/dropviz")
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    for command in (
        lambda: backup(tmp_path / "kept.tar"),
        lambda: restore(tmp_path / "kept.tar", replace=False),
    ):
        with pytest.raises(ValueError, match=rf"docs/clusters\.md has the commands.* '{HEADING}'"):
            command()
    assert blocks("clusters.md", HEADING)
