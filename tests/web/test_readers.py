"""The shelf of readers: shared, bounded, and nobody waits for another one's."""

from __future__ import annotations

import json
import threading

import pytest

from dropviz.classes import ClassDefinition
from dropviz.store import Store, UnknownClass, UnknownExperiment
from dropviz.web import readers as shelves
from dropviz.web.classroom.pooled import view_of
from dropviz.web.feed import Cursor
from dropviz.web.readers import Readers, Shelf

UNKNOWN = "0" * 32


def test_readers_are_shared_and_the_ones_unused_longest_are_forgotten(store: Store, spec) -> None:
    ids = [store.submit(spec) for _ in range(3)]
    readers = Readers(store, experiments=2)
    first, second = readers.get(ids[0]), readers.get(ids[1])
    assert readers.get(ids[0]) is first
    readers.get(ids[2])
    assert len(readers) == 2
    assert readers.get(ids[0]) is first
    assert readers.get(ids[1]) is not second


def test_readers_that_nobody_used_lately_are_forgotten(store: Store, spec, monkeypatch) -> None:
    ids = [store.submit(spec) for _ in range(2)]
    readers = Readers(store)
    readers.get(ids[0])
    monkeypatch.setattr(shelves, "IDLE_SECONDS", 0.0)
    readers.get(ids[1])
    assert len(readers) == 0


def test_a_hundred_people_with_a_run_each_are_sent_what_is_new_and_no_more(store: Store, spec) -> None:
    ids = [store.submit(spec.with_settings([f"first_seed={seed}"])) for seed in range(0, 300, 3)]
    readers = Readers(store)
    cursors = {view_id: json.loads(readers.get(view_id).read(None))["cursor"] for view_id in ids}
    for view_id in ids:
        assert json.loads(readers.get(view_id).read(Cursor.parse(cursors[view_id])))["reset"] is False


def test_who_asks_for_what_is_not_there_takes_nobodys_place(store: Store, spec) -> None:
    definition = ClassDefinition.of(spec, "Dropout", open=("train.learning_rate",), seeds=2)
    code = store.classes.code(store.classes.create(definition, "teacher"))
    readers = Readers(store, experiments=1, class_views=1)
    run, room = readers.get(store.submit(spec)), readers.pool(view_of(code))
    for view_id, refusal in ((UNKNOWN, UnknownExperiment), (view_of(code, "0" * 8), UnknownClass)):
        with pytest.raises(refusal):
            readers.get(view_id)
    assert len(readers) == 2
    assert readers.get(run.view_id) is run
    assert readers.get(view_of(code)) is room


def test_nobody_waits_for_a_reader_of_something_else_and_all_get_the_same_one() -> None:
    made, began, may_end = [], threading.Event(), threading.Event()

    def make(name: str) -> object:
        made.append(name)
        if name == "slow":
            began.set()
            assert may_end.wait(20)
        return object()

    shelf: Shelf = Shelf(make, 8)  # type: ignore[type-arg]
    got: list[object] = []
    askers = [threading.Thread(target=lambda: got.append(shelf.get("slow"))) for _ in range(3)]
    for asker in askers:
        asker.start()
    assert began.wait(20)
    other = shelf.get("quick")
    assert not got
    may_end.set()
    for asker in askers:
        asker.join(20)
    assert made == ["slow", "quick"]
    assert len(set(map(id, got))) == 1
    assert shelf.get("quick") is other
