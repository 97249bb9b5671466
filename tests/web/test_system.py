"""The System page: what a visitor sees of what runs, waits and failed, and what an administrator does."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

from dropviz.experiment import ExperimentSpec
from dropviz.export.archive import members, opened, write_zip
from dropviz.store import Store, Worker
from dropviz.web import admin, disk, live
from dropviz.web.plain import CUT
from dropviz.web.system.tables import MOST_SHOWN
from tests.export.played import run_next
from tests.web.looking import texts

OTHER, THIRD = "f" * 32, "e" * 32
TOKEN = "correct horse battery"
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DROPVIZ_ADMIN_TOKEN", "DROPVIZ_ADMIN_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(disk, "usage", disk.look)


def tables(app: AppTest) -> dict[str, list[dict[str, str]]]:
    """The tables by what they say they are."""
    return {table.proto.alt: table.value.to_dict("records") for table in app.table}


def seen(app: AppTest) -> str:
    return texts(app) + "".join(table.value.to_string() for table in app.table)


def as_admin(visit, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN", TOKEN)
    app = visit("6_System")
    app.text_input(key=admin.FIELD).input(TOKEN)
    app.button(key="FormSubmitter:administration-Sign in").click()
    return app.run()


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def test_a_quiet_system_says_so(visit, store: Store) -> None:
    app = visit("6_System")
    assert not app.exception
    assert "No engine serves this data directory. `dropviz serve` starts one and keeps it." in texts(app)
    assert "Nothing runs or waits." in texts(app)
    assert "ailures" not in texts(app)
    assert labels(app) == []
    assert "cpu" in app.table[-1].value["value"].tolist()


def test_workers_are_working_starting_or_silent(visit, store: Store) -> None:
    now = time.time()
    values = {"host": "here", "pid": 7, "device": "cpu"}
    store.beat(Worker(id="a", slots=2, started_at=now - 4000, heartbeat_at=now, **values))
    store.beat(Worker(id="b", slots=2, started_at=now - 3900, heartbeat_at=now, **values))
    with store.database.write() as connection:  # a heartbeat is when the store hears it
        connection.exec_driver_sql("UPDATE workers SET heartbeat_at = heartbeat_at - 3600 WHERE id = 'b'")
    store.beat(Worker(id="c", slots=0, started_at=now, heartbeat_at=now, **values))
    workers = tables(visit("6_System"))["Engines that take jobs"]
    assert [line["state"] for line in workers] == ["working", "last seen 1.0 h ago", "starting"]
    assert [line["jobs at once"] for line in workers] == ["2", "2", "–"]


def test_a_visitor_sees_own_jobs_in_full_and_those_of_others_as_counts(
    visit, store: Store, engine, spec: ExperimentSpec, me: str
) -> None:
    theirs = store.submit(spec.with_settings(['arms=["none"]']), owner=OTHER)
    engine.train(engine.start(), [0, 10])
    store.submit(spec.with_settings(['arms=["none", "dropout"]', "p=0.3"]), owner=THIRD)
    store.submit(spec.with_settings(['arms=["dropout"]']), owner=me)
    app = visit("6_System")
    assert not app.exception
    found = tables(app)
    shares = found["Your jobs and those of others"]
    assert [(line["who"], line["running"], line["waiting"]) for line in shares] == [
        ("you", "–", "1"),
        ("2 other people", "1", "2"),
    ]
    (mine,) = found["Jobs that run, wait or are paused"]
    assert (mine["arm"], mine["state"], mine["step"]) == ("dropout", "queued, number 2", "0 of 40 (0%)")
    assert "1 job runs, 3 wait. Your next job is number 2 in line." in texts(app)
    for secret in (OTHER, THIRD, theirs, me):
        assert secret not in seen(app)


def test_only_ones_own_experiments_are_listed_with_a_stop_that_stops(
    visit, store: Store, spec: ExperimentSpec, me: str
) -> None:
    theirs, mine = store.submit(spec, owner=OTHER), store.submit(spec.with_settings(["p=0.2"]), owner=me)
    app = visit("6_System")
    assert [button.key for button in app.button] == [f"stop/{mine}"]
    assert app.get("link_button")[0].proto.url.endswith(f"lab?run={mine}")
    app.button(key=f"stop/{mine}").click().run()
    assert not app.exception
    assert (store.experiment(mine).state, store.experiment(theirs).state) == ("stopped", "queued")
    assert labels(app) == []


def test_an_administrator_sees_everybodys_and_stops_it_after_a_question(
    visit, store: Store, spec: ExperimentSpec, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, mine = store.submit(spec, owner=OTHER), store.submit(spec.with_settings(["p=0.2"]), owner=me)
    store.request_estimate(spec, owner=THIRD)
    app = as_admin(visit, monkeypatch)
    assert not app.exception
    assert {line["who"][:7] for line in tables(app)["Whose jobs run and wait, who is next first"]} == {
        "you",
        "visitor",
    }
    assert len(tables(app)["Jobs that run, wait or are paused"]) == 7
    for secret in (OTHER, THIRD, me):
        assert secret not in seen(app)
    app.button(key=f"admin/stop/{theirs}").click().run()
    assert (store.experiment(theirs).state, store.experiment(mine).state) == ("stopped", "queued")
    (job,) = [job for job in store.live_jobs() if job.kind == "estimate"]
    app.button(key=f"admin/stop/{job.id}").click().run()
    assert store.job(job.id).state == "stopped"  # type: ignore[union-attr]
    assert not app.exception
    assert labels(app) == ["Stop", "Sign out"]


def test_who_signed_out_in_another_way_stops_nothing(
    visit, store: Store, spec: ExperimentSpec, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = store.submit(spec, owner=OTHER)
    app = as_admin(visit, monkeypatch)
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN", TOKEN[::-1])
    app.button(key=f"admin/stop/{theirs}").click().run()
    assert store.experiment(theirs).state == "queued"


def test_failures_are_ones_own_and_their_tracebacks_an_administrators(
    visit, store: Store, engine, spec: ExperimentSpec, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, arm, error in ((me, "none", "It was too hot"), (OTHER, "dropout", "It was too cold")):
        store.submit(spec.with_settings([f'arms=["{arm}"]']), owner=owner)
        claim = engine.start()
        store.finish(claim.job_id, claim.attempt, "failed", error=error, traceback=f"Traceback of {arm}")
    (mine,) = tables(visit("6_System"))["Jobs that failed, the latest first"]
    assert (mine["what"], mine["why"], mine["attempts"]) == ("none", "It was too hot", "1")
    assert mine["when"].endswith("s ago")
    app = visit("6_System")
    assert "Traceback" not in seen(app) + "".join(code.value for code in app.code)
    app = as_admin(visit, monkeypatch)
    found = tables(app)["Jobs that failed, the latest first"]
    assert [line["why"] for line in found] == ["It was too cold", "It was too hot"]
    assert [code.value for code in app.code] == ["Traceback of dropout", "Traceback of none"]


def test_what_an_imported_run_says_of_its_failures_is_text(
    visit, store: Store, spec: ExperimentSpec, me: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = "[Session expired, sign in](https://evil.example)"
    long = f"![x](https://evil.example/x.png) <b>www.evil.example</b> {'and so on ' * 500}"
    elsewhere = Store.open(tmp_path / "elsewhere" / "dropviz.db")
    made = elsewhere.submit(spec.with_settings(['arms=["none", "dropout"]']))
    for error in (link, long):
        run_next(elsewhere, outcome="failed", error=error)
    write_zip(tmp_path / "run.zip", members(elsewhere, elsewhere.experiment(made)))
    elsewhere.close()
    store.keep_import(opened((tmp_path / "run.zip").read_bytes()), owner=OTHER)
    app = as_admin(visit, monkeypatch)
    assert not app.exception
    cells = [line["why"] for line in tables(app)["Jobs that failed, the latest first"]]
    said = sorted(read(cell) for cell in cells)
    assert said == sorted([link, f"{long[:MOST_SHOWN]}…"])
    assert [code.value for code in app.code] == [long], "the rest of it is folded"


def read(cell: str) -> str:
    """What stands in a cell of a table, which must be nothing but text."""
    tokens = [child for token in MARKDOWN.parse(cell) for child in token.children or ()]
    assert {token.type for token in tokens} <= {"text", "text_special"}
    for address in ("https://", "www."):  # of which Streamlit makes links by itself
        assert address not in cell
    return "".join(token.content for token in tokens).replace(CUT, "")


def test_the_disk_is_shown_by_part_and_warned_of(
    visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "usage", lambda: None)
    assert "Looking at the disk …" in texts(visit("6_System"))
    parts = dict.fromkeys(("database", "weights", "checkpoints", "uploads", "datasets"), 5000000)
    monkeypatch.setattr(disk, "usage", lambda: disk.Usage(parts=parts, free=5 * 10**8, total=10**11))
    app = visit("6_System")
    assert [line["size"] for line in tables(app)["What takes how much of the disk"]] == ["5.0 MB"] * 5 + [
        "500.0 MB"
    ]
    assert "Only 500.0 MB are free" in app.warning[0].value


def test_a_store_that_cannot_be_read_is_said_in_a_sentence(visit, store: Store) -> None:
    with closing(sqlite3.connect(live.store().database.path)) as connection, connection:
        connection.execute("DROP TABLE workers")
    app = visit("6_System")
    assert not app.exception
    assert "cannot be used" in app.error[0].value
    assert "Installation" in texts(app), "the rest of the page is there"
