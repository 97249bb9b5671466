"""The cursor's promise: whoever polls in whatever rhythm has in the end what a newcomer gets at once."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import numpy as np
import pytest

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store, StoreError, Worker
from dropviz.web import feed
from dropviz.web import reader as reader_module
from dropviz.web.feed import Cursor
from dropviz.web.reader import Reader, shown_state
from tests.web.viewer import Viewer


@pytest.fixture
def planar(spec: ExperimentSpec) -> ExperimentSpec:
    return spec.with_settings(["data=two-moons"])


def surface(value: int) -> dict[str, np.ndarray]:
    return {"surface": np.full((2, 3), value, np.uint8)}


def test_a_newcomer_gets_everything_and_then_nothing_twice(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    reader = Reader(store, store.submit(spec))
    engine.run_all()
    viewer = Viewer(reader)
    first = viewer.poll()
    assert first["reset"] is True
    assert len(first["rows"]) == len(spec.arms) * (5 * 3 + 2)
    second = viewer.poll()
    assert (second["reset"], second["rows"], second["surfaces"]) == (False, [], {})
    assert second["cursor"] == first["cursor"]


@pytest.mark.parametrize("seed", range(6))
def test_any_rhythm_of_polling_ends_with_the_full_payload(
    store: Store, engine, planar: ExperimentSpec, seed: int
) -> None:
    """Five viewers poll now and then, one with a lost answer, while three arms train and one is rewound."""
    random = np.random.default_rng(seed)
    reader = Reader(store, store.submit(planar))
    viewers = [Viewer(reader) for _ in range(5)]
    claims = [engine.start() for _ in planar.arms]
    moments = [(place, step) for place in range(3) for step in range(0, 50, 10)]
    rewound = int(random.integers(3, len(moments)))
    for turn, (place, step) in enumerate(moments):
        engine.train(claims[place], [step])
        engine.write(claims[place], step, surface(step + place))
        if turn == rewound:
            claims[place] = engine.rewind(claims[place], -1)
            engine.train(claims[place], list(range(0, step + 10, 10)))
        for viewer in viewers:
            if random.random() < 0.4:
                viewer.poll()
        if random.random() < 0.3:
            viewers[0].reader.read(viewers[0].cursor)  # an answer that never arrived
    for claim in claims:
        engine.finish(claim)
    fresh = json.loads(Reader(store, reader.view_id).read(None))
    for viewer in viewers:
        viewer.poll()
        viewer.assert_same_as_newcomer()
        assert sorted(map(str, viewer.rows)) == sorted(map(str, fresh["rows"]))
        assert viewer.surfaces == fresh["surfaces"]


def test_every_cursor_ever_given_out_leads_to_the_full_payload(
    store: Store, engine, planar: ExperimentSpec
) -> None:
    reader = Reader(store, store.submit(planar))
    viewer, stops = Viewer(reader), []
    for _ in planar.arms:
        claim = engine.start()
        for step in range(0, 50, 10):
            engine.train(claim, [step])
            engine.write(claim, step, surface(step))
            viewer.poll()
            stops.append((viewer.cursor, list(viewer.rows), dict(viewer.surfaces)))
    full = json.loads(reader.read(None))
    for cursor, rows, surfaces in stops:
        rest = json.loads(reader.read(cursor))
        assert rest["reset"] is False
        assert rows + rest["rows"] == full["rows"]
        assert surfaces | rest["surfaces"] == full["surfaces"]


def test_a_rewind_resets_every_viewer_once(store: Store, engine, spec: ExperimentSpec) -> None:
    reader = Reader(store, store.submit(spec))
    viewer = Viewer(reader)
    claim = engine.start()
    engine.train(claim, [0, 10, 20])
    viewer.poll()
    claim = engine.rewind(claim, 2)
    viewer.poll()
    assert viewer.resets == 2
    assert [row[2] for row in viewer.rows] == [0, 0, 0]
    engine.train(claim, [10])
    viewer.poll()
    assert viewer.resets == 2
    viewer.assert_same_as_newcomer()


def test_a_restart_that_lost_nothing_resets_nobody(store: Store, engine, spec: ExperimentSpec) -> None:
    viewer = Viewer(Reader(store, store.submit(spec)))
    claim = engine.start()
    engine.train(claim, [0, 10])
    viewer.poll()
    claim = engine.rewind(claim, 5)
    engine.train(claim, [20])
    viewer.poll()
    assert viewer.resets == 1
    viewer.assert_same_as_newcomer()


def test_cursors_of_another_reader_or_from_the_future_start_over(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    view_id = store.submit(spec)
    engine.run_all()
    former, reader = Reader(store, view_id), Reader(store, view_id)
    old = Cursor.parse(json.loads(former.read(None))["cursor"])
    own = Cursor.parse(json.loads(reader.read(None))["cursor"])
    assert old.epoch != own.epoch
    full = json.loads(reader.read(None))["rows"]
    for cursor in (old, Cursor(own.epoch, own.count + 1)):
        answer = json.loads(reader.read(cursor))
        assert answer["reset"] is True
        assert answer["rows"] == full


def test_a_reader_of_a_finished_experiment_says_what_the_live_one_said(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    view_id = store.submit(spec)
    viewer = Viewer(Reader(store, view_id))
    for _ in spec.arms:
        claim = engine.start()
        engine.train(claim)
        engine.finish(claim)
        viewer.poll()
    late = json.loads(Reader(store, view_id).read(None))
    assert sorted(map(str, late["rows"])) == sorted(map(str, viewer.rows))
    assert late["headline"] == viewer.latest["headline"]
    assert late["ladder"] == viewer.latest["ladder"]


def test_viewers_share_what_was_serialized(store: Store, engine, spec: ExperimentSpec) -> None:
    reader = Reader(store, store.submit(spec))
    engine.run_all()
    reader.read(None)
    cursor = Cursor.parse(json.loads(reader.read(None))["cursor"])
    bodies = [reader._body(asked, "lab") for asked in (None, None, cursor, cursor, Cursor("unknown", 0))]
    assert bodies[0] is bodies[1] is bodies[4]
    assert bodies[2] is bodies[3]
    assert len(bodies[2]) < len(bodies[0])


def test_bodies_of_a_former_revision_are_not_kept(store: Store, engine, spec: ExperimentSpec) -> None:
    reader = Reader(store, store.submit(spec))
    viewer = Viewer(reader)
    claim = engine.start()
    for step in range(0, 50, 10):
        engine.train(claim, [step])
        viewer.poll()
    assert len(reader._bodies) == 1


def test_the_store_is_not_asked_more_often_however_many_look(
    store: Store, engine, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "LOOK_SECONDS", 3600.0)
    reader = Reader(store, store.submit(spec))
    before = json.loads(reader.read(None))["cursor"]
    engine.run_all()
    assert json.loads(reader.read(None))["cursor"] == before
    monkeypatch.setattr(reader_module, "LOOK_SECONDS", 0.0)
    assert json.loads(reader.read(None))["cursor"] != before


def test_the_newest_surface_of_each_arm_is_sent_once(store: Store, engine, planar: ExperimentSpec) -> None:
    viewer = Viewer(Reader(store, store.submit(planar)))
    claim = engine.start()
    engine.write(claim, 0, surface(1))
    engine.write(claim, 10, surface(2))
    sent = viewer.poll()["surfaces"]
    assert list(sent) == [claim.arm]
    assert {key: sent[claim.arm][key] for key in ("step", "width", "height")} == {
        "step": 10,
        "width": 3,
        "height": 2,
    }
    assert base64.b64decode(sent[claim.arm]["data"]) == bytes([2] * 6)
    assert viewer.poll()["surfaces"] == {}


@pytest.fixture
def prose(spec: ExperimentSpec) -> ExperimentSpec:
    """A text."""
    table = spec.to_table() | {"data": {"name": "markov"}, "model": {"name": "lstm"}}
    return ExperimentSpec.from_table(table)


def written(text: str, prompt: str = "Once") -> dict[str, np.ndarray]:
    parts = {"prompt": prompt, "sample": text}
    return {name: np.frombuffer(part.encode(), dtype=np.uint8) for name, part in parts.items()}


def test_the_newest_sample_of_each_arm_is_sent_once_and_says_where_the_network_takes_over(
    store: Store, engine, prose: ExperimentSpec
) -> None:
    viewer = Viewer(Reader(store, store.submit(prose)))
    claim = engine.start()
    engine.write(claim, 0, written("Once or twice"))
    engine.write(claim, 10, written("Once <b>upon</b> a σ"))
    answer = viewer.poll()
    assert answer["samples"] == {claim.arm: {"step": 10, "prompt": "Once", "text": " <b>upon</b> a σ"}}
    assert answer["surfaces"] == {}
    assert viewer.poll()["samples"] == {}
    engine.write(claim, 20, written("Once more"))
    assert viewer.poll()["samples"][claim.arm]["text"] == " more"
    viewer.assert_same_as_newcomer()


def test_a_sample_that_does_not_begin_with_its_prompt_is_shown_whole(store: Store, engine, prose) -> None:
    viewer = Viewer(Reader(store, store.submit(prose)))
    claim = engine.start()
    engine.write(claim, 0, written("At once", prompt="Twice"))
    assert viewer.poll()["samples"][claim.arm] == {"step": 0, "prompt": "", "text": "At once"}


def test_data_that_are_not_planar_have_no_surfaces(store: Store, engine, spec: ExperimentSpec) -> None:
    viewer = Viewer(Reader(store, store.submit(spec)))
    claim = engine.start()
    engine.write(claim, 0, surface(1))
    assert viewer.poll()["surfaces"] == {}


def test_a_series_that_diverged_travels_as_null(store: Store, engine, spec: ExperimentSpec) -> None:
    reader = Reader(store, store.submit(spec))
    claim = engine.start()
    engine.write(claim, 0, {"train/loss": np.array([0.1, np.inf, np.nan])})
    assert json.loads(reader.read(None))["rows"] == [[0, 0, 0, None, None, None]]


def test_the_state_is_the_experiments_or_says_that_nothing_was_computed(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    first = store.submit(spec)
    assert shown_state(store.experiment(first)) == "queued"
    engine.run_all()
    assert shown_state(store.experiment(first)) == "done"
    again = store.experiment(store.submit(spec))
    assert shown_state(again) == "cached"
    partly = store.submit(spec.with_settings(["seeds=4"]))
    engine.run_all()
    assert shown_state(store.experiment(partly)) == "done"


def test_the_place_in_the_queue_is_told_while_waiting(store: Store, engine, spec: ExperimentSpec) -> None:
    first, second = (store.submit(spec.with_settings([f"p={p}"]), owner="ada") for p in (0.5, 0.2))
    engine.start()
    places = [
        json.loads(Reader(store, view).read(None))["progress"]["queue_position"] for view in (first, second)
    ]
    assert places == [0, 2]


def test_what_waits_says_so_where_nobody_works(store: Store, engine, spec: ExperimentSpec) -> None:
    view_id = store.submit(spec)
    reader, now = Reader(store, view_id), store.now()

    def told() -> str:
        return json.loads(reader.read(None))["progress"]["message"]

    assert told() == reader_module.NOBODY
    about = {"host": "here", "pid": 1, "device": "cpu", "slots": 1, "started_at": now}
    worker = Worker(id="a", heartbeat_at=now, **about)
    store.beat(worker)
    assert "engine" not in told()
    assert [worker.silent(now + seconds) for seconds in (0, 9, -9, 11, -11)] == [False] * 3 + [True] * 2
    store.leave("a")
    assert "No engine" in told()
    engine.run_all()
    assert "engine" not in told()


@pytest.mark.parametrize(
    "text", ["", ":", "abc", "abc:", "abc:-1", "ABC:1", "abc:1:2", "a b:1", "abc:1\n", "x" * 65 + ":1"]
)
def test_a_cursor_that_nobody_gave_out_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^cursor = .* is not possible: send back .*\.$"):
        Cursor.parse(text)


@pytest.mark.parametrize(
    ("epoch", "count"), list(itertools.product(["a", "carried", "0f-9"], [0, 7, 999_999_999]))
)
def test_a_cursor_survives_its_journey(epoch: str, count: int) -> None:
    assert Cursor.parse(str(Cursor(epoch, count))) == Cursor(epoch, count)


def test_an_error_in_the_middle_of_reading_loses_no_row(
    store: Store, engine, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    view_id = store.submit(spec)
    engine.run_all()
    reader, calls = Reader(store, view_id), itertools.count()
    whole = Store.points

    def failing_once(self: Store, job_id: int, after: int = -1) -> list[Any]:
        if next(calls) == 1:
            raise StoreError("the disk is full")
        return whole(self, job_id, after)

    monkeypatch.setattr(Store, "points", failing_once)
    monkeypatch.setattr(reader_module, "LOOK_SECONDS", 0.0)
    with pytest.raises(StoreError):
        reader.read(None)
    assert json.loads(reader.read(None))["rows"] == json.loads(Reader(store, view_id).read(None))["rows"]


def test_few_bodies_are_kept_whatever_cursors_are_asked_for(
    store: Store, engine, spec: ExperimentSpec
) -> None:
    reader = Reader(store, store.submit(spec))
    engine.run_all()
    epoch = Cursor.parse(json.loads(reader.read(None))["cursor"]).epoch
    for count in range(30):
        reader.read(Cursor(epoch, count))
    assert len(reader._bodies) <= feed.MOST_BODIES
