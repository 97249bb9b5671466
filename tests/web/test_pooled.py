"""The pool of a class: every seed once, whoever computed it; the same numbers as the seeds themselves give."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

from dropviz.analysis import decompose, mean_interval
from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec
from dropviz.store import Classroom, Store
from dropviz.web import live
from dropviz.web.classroom import pooled
from dropviz.web.classroom.pooled import PooledReader, view_of
from dropviz.web.feed import Cursor
from tests.web.conftest import value

ARMS = ("none", "dropout", "dropout-8")


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "LOOK_SECONDS", 0.0)


@pytest.fixture
def room(store: Store, spec: ExperimentSpec) -> Classroom:
    return store.classes.create(ClassDefinition.of(spec, "Tuesday", open=["p", "arms"], seeds=3), "teacher")


def run(store: Store, engine: Any, room: Classroom, name: str, *settings: str) -> str:
    """A member's run, to its end."""
    view_id = store.classes.submit(room.id, name, room.definition.start().with_settings(settings))
    engine.run_all()
    return view_id


def view(store: Store, room: Classroom, group: str = "") -> str:
    return view_of(store.classes.code(room), group)


def read(store: Store, room: Classroom, group: str = "") -> dict[str, Any]:
    return json.loads(PooledReader(store, view(store, room, group)).read(None))


def curves(payload: dict[str, Any]) -> dict[tuple[str, str, int], list[Any]]:
    """(arm, metric, step) → mean and interval, as the board keeps them."""
    return {
        (payload["arms"][arm], payload["metrics"][metric], step): numbers
        for arm, metric, step, *numbers in payload["rows"]
    }


@pytest.mark.parametrize("alike", [True, False], ids=["all the same", "each another one"])
def test_a_class_of_many_runs_keeps_little_of_each(store: Store, room: Classroom, alike: bool) -> None:
    def submit(visitors: range) -> None:
        for visitor in visitors:
            settings = [] if alike else [f"p={0.1 + visitor / 1000}"]
            store.classes.submit(room.id, str(visitor), room.definition.start().with_settings(settings))

    submit(range(10))
    reader = PooledReader(store, view(store, room))
    submit(range(10, 210))
    tracemalloc.start()
    try:
        groups = reader.groups()
        assert sum(len(group.experiments) for group in groups) == 210
        assert len(groups) == (1 if alike else 211)
        del groups
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept / 200 < 1500, "bytes a run; a spec's table alone takes 5,700"


class Board:
    """Keeps what the board in the browser keeps."""

    def __init__(self, reader: PooledReader) -> None:
        self.reader, self.cursor = reader, ""
        self.payload: dict[str, Any] = {}
        self.rows: dict[tuple[str, str, int], list[Any]] = {}

    def poll(self) -> dict[str, Any]:
        answer = json.loads(self.reader.read(Cursor.parse(self.cursor) if self.cursor else None))
        if answer["reset"]:
            self.rows, self.payload = {}, {}
        self.cursor = answer["cursor"]
        self.payload |= answer
        self.rows |= curves(answer)
        return answer


def test_a_class_without_runs_says_so(store: Store, room: Classroom) -> None:
    found = read(store, room)
    assert (found["state"], found["rows"], found["seeds"]) == ("open", [], "nothing yet")
    assert found["progress"]["message"] == "0 students joined · 0 with results here"
    assert found["headline"]["parts"][0]["text"].startswith("Results show here as soon as")


def test_the_band_is_over_all_seeds_of_all_members(store: Store, engine, room: Classroom) -> None:
    for name in ("ada", "bob", "carol"):
        run(store, engine, room, name)
    found = read(store, room)
    assert found["seeds"] == "95 % t interval, 9 seeds"
    rows = curves(found)
    for arm in ARMS:
        for step in range(0, 50, 10):
            values = value(arm, tuple(range(9)), step, "validation/accuracy")
            expected = mean_interval(values)
            assert rows[arm, "validation/accuracy", step] == pytest.approx(
                [expected.estimate, expected.lower, expected.upper], rel=1e-5
            )


def test_the_sentence_is_over_all_seeds_that_pair(store: Store, engine, room: Classroom) -> None:
    for name in ("ada", "bob"):
        run(store, engine, room, name)
    found = read(store, room)
    levels = {arm: value(arm, tuple(range(6)), 40, "test/accuracy") for arm in ARMS}
    d = decompose({arm: dict(enumerate(map(float, seeds))) for arm, seeds in levels.items()}, "test/accuracy")
    assert d.gain is not None
    text = "".join(part["text"] for part in found["headline"]["parts"])
    assert f"gains {100 * d.gain.estimate:.1f}" in text
    assert found["headline"]["note"].startswith("2 students · 6 paired seeds, 95 % intervals in brackets")
    assert found["ladder_title"] == "test accuracy"


def test_it_grows_run_by_run_and_a_viewer_has_what_a_newcomer_gets(
    store: Store, engine, room: Classroom
) -> None:
    board = Board(PooledReader(store, view(store, room)))
    sizes = []
    for name in ("ada", "bob", "carol"):
        store.classes.submit(room.id, name, room.definition.start())
        while store.has_queued():
            claim = engine.start()
            engine.train(claim)
            engine.finish(claim)
            answer = board.poll()
            changed = {answer["arms"][row[0]] for row in answer["rows"]}
            assert changed == {claim.arm} or answer["reset"]
            sizes.append(len(answer["rows"]))
            full = read(store, room)
            assert board.rows == curves(full)
            assert board.payload["headline"] == full["headline"]
            assert board.payload["ladder"] == full["ladder"]
    assert len(set(sizes)) == 1  # an arm's rows, however many runs there were before
    quiet = board.poll()
    assert (quiet["rows"], quiet["reset"]) == ([], False)
    assert "ladder" not in quiet


def test_an_arm_that_runs_is_not_in_the_pool_before_it_is_done(store: Store, engine, room: Classroom) -> None:
    store.classes.submit(room.id, "ada", room.definition.start())
    claim = engine.start()
    engine.train(claim, [0, 10])
    found = read(store, room)
    assert found["rows"] == []
    assert found["progress"]["message"] == "1 student joined · 0 with results here · 1 run at work or waiting"


def test_a_failed_curve_is_counted_and_said_and_does_not_spoil_the_rest(
    store: Store, engine, room: Classroom
) -> None:
    run(store, engine, room, "ada")
    store.classes.submit(room.id, "bob", room.definition.start())
    claim = engine.start()
    engine.train(claim, [0, 10])
    engine.finish(claim, "failed", error="The loss of seed 4 is not finite: lower the learning rate.")
    engine.run_all()
    found = read(store, room)
    assert found["progress"]["message"].endswith(f"1 curve failed and left out: {claim.arm}")
    assert found["headline"]["note"].startswith("2 students · 3 paired seeds")
    assert len(found["ladder"][claim.arm]["values"]) == 3
    assert sorted(len(rung["values"]) for rung in found["ladder"].values()) == [3, 6, 6]
    run(store, engine, room, "bob")  # again, and this time it trains
    assert "failed" not in read(store, room)["progress"]["message"]


def test_running_the_same_again_counts_once(store: Store, engine, room: Classroom) -> None:
    for _ in range(3):
        run(store, engine, room, "ada")
    assert read(store, room)["headline"]["note"].startswith("1 student · 3 paired seeds")


def test_what_members_changed_makes_a_group_of_its_own(store: Store, engine, room: Classroom) -> None:
    for name, p in (("ada", 0.5), ("bob", 0.2), ("carol", 0.2)):
        run(store, engine, room, name, f"p={p}")
    reader = PooledReader(store, view(store, room))
    groups = reader.groups()
    assert [(group.title, group.students) for group in groups] == [("As the class is set", 1), ("p = 0.2", 2)]
    changed = PooledReader(store, view(store, room, groups[1].id))
    assert changed.spec.p == 0.2
    assert json.loads(changed.read(None))["headline"]["note"].startswith("2 students · 6 paired seeds")
    assert json.loads(reader.read(None))["headline"]["note"].startswith("1 student · 3 paired seeds")


def test_groups_are_compared_in_their_own_sentences(store: Store, engine, room: Classroom) -> None:
    for name, p in (("ada", 0.5), ("bob", 0.2), ("carol", 0.2)):
        run(store, engine, room, name, f"p={p}")
    reader = PooledReader(store, view(store, room))
    as_set, changed = reader.comparison()
    assert (as_set["settings"], as_set["students"], as_set["paired seeds"]) == ("As the class is set", 1, 3)
    assert (changed["settings"], changed["students"], changed["paired seeds"]) == ("p = 0.2", 2, 6)
    for line, group in ((as_set, ""), (changed, reader.groups()[1].id)):
        parts = read(store, room, group)["headline"]["parts"]
        assert line["result"] == "".join(part["text"] for part in parts)
    store.classes.submit(room.id, "dora", room.definition.start().with_settings(["p=0.1"]))
    assert len(reader.comparison()) == 2  # nothing to say of her yet


def test_arms_that_only_some_ran_join_the_pool_and_leave_the_sentence_alone(
    store: Store, engine, room: Classroom
) -> None:
    run(store, engine, room, "ada")
    run(store, engine, room, "bob", 'arms=["none", "dropout", "dropout-8", "gaussian"]')
    reader = PooledReader(store, view(store, room))
    found = json.loads(reader.read(None))
    assert found["arms"] == [*ARMS, "gaussian"]
    assert reader.subject().arms == (*ARMS, "gaussian")
    assert found["headline"]["note"].startswith("2 students · 6 paired seeds")
    assert len(found["ladder"]["gaussian"]["values"]) == 3


def test_a_run_that_is_deleted_leaves_the_pool(store: Store, engine, room: Classroom) -> None:
    ids = [run(store, engine, room, name) for name in ("ada", "bob")]
    board = Board(PooledReader(store, view(store, room)))
    board.poll()
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE experiments SET deleted_at = 1 WHERE id = ?", (ids[0],))
    assert board.poll()["reset"]
    assert board.payload["headline"]["note"].startswith("1 student · 3 paired seeds")
    assert board.rows == curves(read(store, room))


def test_runs_outside_the_class_and_of_other_classes_are_not_in_it(
    store: Store, engine, room: Classroom, spec: ExperimentSpec
) -> None:
    store.submit(spec, owner="ada")
    other = store.classes.create(room.definition, "teacher")
    run(store, engine, other, "ada")
    assert read(store, room)["rows"] == []


def test_nothing_that_travels_says_whose_it_is(store: Store, engine, room: Classroom, get) -> None:
    ids = [run(store, engine, room, name) for name in ("ada-the-visitor", "bob-the-visitor")]
    status, body = live.answer(view(store, room), "", "lab")
    assert status == 200
    for secret in ("ada-the-visitor", "bob-the-visitor", *ids):
        assert secret.encode() not in body


def test_the_route_refuses_views_of_classes_that_it_gave_no_link_to(store: Store, room: Classroom) -> None:
    code = store.classes.code(room)
    wrong = code[:-1] + ("2" if code[-1] != "2" else "3")
    for bad in (view_of(wrong), view_of(code) + "-g12", "class-", f"class-{room.id}", view_of(code, "x" * 8)):
        status, body = live.answer(bad, "")
        assert status == 404
        assert "no link to a class" in json.loads(body)["error"]
    assert live.array_answer(view_of(code), "density", "0")[0] == 404


def test_a_class_that_is_over_is_closed_and_keeps_its_pool(store: Store, engine, room: Classroom) -> None:
    run(store, engine, room, "ada")
    board = Board(PooledReader(store, view(store, room)))
    assert board.poll()["state"] == "open"
    store.classes.close(room.id)
    answer = board.poll()
    assert (answer["state"], answer["reset"]) == ("closed", False)
    assert board.rows == curves(read(store, room))


def test_a_class_that_expires_while_somebody_watches_is_closed(store: Store, spec, monkeypatch) -> None:
    definition = ClassDefinition.of(spec, "Short", expires_at=time.time() + 60)
    board = Board(PooledReader(store, view(store, store.classes.create(definition, "teacher"))))
    assert board.poll()["state"] == "open"
    later = time.time() + 61
    monkeypatch.setattr(pooled.time, "time", lambda: later)
    assert board.poll()["state"] == "closed"


def test_seeds_that_stop_early_leave_a_gap_where_not_all_have_a_value(spec: ExperimentSpec) -> None:
    from dropviz.store import Point
    from dropviz.web.classroom.pool import Pool

    pool = Pool(spec)
    for seed, steps in ((0, (0, 10, 20)), (1, (0, 10))):
        points = [
            Point(seq=0, step=s, name="validation/accuracy", values=np.array([0.5 + seed])) for s in steps
        ]
        pool.add(
            "none",
            [seed],
            [0],
            [*points, Point(seq=9, step=steps[-1], name="test/accuracy", values=np.array([0.7]))],
        )
    pool.settle()
    means = {row[2]: row[3] for row in pool.rows if pool.metrics[row[1]] == "validation/accuracy"}
    assert means == {0: 1.0, 10: 1.0, 20: None}
    assert {step: list(values) for step, values in pool.ladder["test/accuracy"]["none"].items()} == {
        20: [0.7, 0.7]
    }
