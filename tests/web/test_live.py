"""The data route: what it answers, what it refuses and how, and that idle readers are forgotten."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette

from dropviz import logs
from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.web import examples, live
from dropviz.web.examples import Example
from dropviz.web.payload import NoArray

SENTENCE = re.compile(r"[A-Za-z'].*[.!]")
UNKNOWN = "0" * 32


@pytest.fixture
def app(store: Store) -> Starlette:
    return Starlette(routes=[live.route])


def sentence(body: bytes) -> str:
    """The one sentence of a refusal, checked to be one."""
    table = json.loads(body)
    assert list(table) == ["error"]
    assert SENTENCE.fullmatch(table["error"])
    assert "\n" not in table["error"]
    assert "Traceback" not in table["error"]
    return table["error"]


def test_an_experiment_is_sent_as_json_that_nobody_keeps(app: Starlette, store: Store, get, spec) -> None:
    answer = get(app, f"/live/{store.submit(spec)}")
    assert answer.status == 200
    assert answer.header("cache-control") == "no-store"
    assert answer.header("content-type").startswith("application/json")
    assert json.loads(answer.body)["state"] == "queued"


def test_the_payload_has_what_the_board_reads(app: Starlette, store: Store, engine, get, spec) -> None:
    view_id = store.submit(spec)
    engine.run_all()
    table = json.loads(get(app, f"/live/{view_id}").body)
    parts = {
        "cursor",
        "reset",
        "state",
        "seeds",
        "arms",
        "metrics",
        "rows",
        "arrays",
        "surfaces",
        "samples",
        "progress",
    }
    assert table.keys() == parts | {"headline", "ladder", "ladder_title", "effects"}


def test_the_cursor_of_the_last_answer_brings_only_what_is_new(
    app: Starlette, store: Store, engine, get, spec
) -> None:
    view_id = store.submit(spec)
    engine.run_all()
    first = json.loads(get(app, f"/live/{view_id}").body)
    second = json.loads(get(app, f"/live/{view_id}", query=f"cursor={first['cursor']}").body)
    assert first["rows"]
    assert (second["reset"], second["rows"]) == (False, [])


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        (UNKNOWN, "", 404, "There is no experiment"),
        ("example-nothing", "", 404, "There is no experiment 'example-nothing'"),
        ("example-..%2F..%2Fsecrets", "", 404, "There is no experiment"),
        ("nonsense", "", 400, "'nonsense' is not an experiment's id"),
        (UNKNOWN.replace("0", "A"), "", 400, "is not an experiment's id"),
        ("<script>alert(1)<script>", "", 400, "is not an experiment's id"),
        (UNKNOWN, "cursor=nonsense", 400, "cursor = 'nonsense' is not possible"),
        (UNKNOWN, "cursor=abc:99999999999", 400, "is not possible"),
        (UNKNOWN, "page=system", 400, "page = 'system' is not possible: choose lab or curvature."),
    ],
)
def test_refusals_are_one_sentence(
    app: Starlette, get, path: str, query: str, status: int, said: str
) -> None:
    answer = get(app, f"/live/{path}", query=query)
    assert answer.status == status
    assert said in sentence(answer.body)
    assert answer.header("cache-control") == "no-store"


def test_what_a_visitor_sent_is_not_repeated_at_length(app: Starlette, get) -> None:
    for path, query in (("x" * 5000, ""), (UNKNOWN, "cursor=" + "y" * 5000)):
        assert len(sentence(get(app, f"/live/{path}", query=query).body)) < 200


def test_a_store_that_cannot_be_read_is_an_error_without_its_details(
    app: Starlette, store: Store, get, spec, caplog: pytest.LogCaptureFixture
) -> None:
    view_id = store.submit(spec)
    assert get(app, f"/live/{view_id}").status == 200
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET seeds = 'secret nonsense', revision = revision + 1")
    answer = get(app, f"/live/{view_id}")
    assert answer.status == 500
    assert "secret" not in sentence(answer.body)
    assert [record.fields for record in caplog.records if record.exc_info] == [
        logs.of(view=view_id)["fields"]
    ]


def test_a_database_that_is_damaged_is_said_to_be_unusable_and_not_where_it_is(
    app: Starlette, store: Store, get, spec
) -> None:
    view_id = store.submit(spec)
    store.close()  # the connections: what they hold in memory is not damaged
    for path in store.database.path.parent.glob("dropviz.db*"):
        path.write_bytes(b"\xff" * path.stat().st_size)
    answer = get(app, f"/live/{view_id}")
    assert answer.status == 503
    said = sentence(answer.body)
    assert "cannot use its store" in said
    assert str(store.database.path.parent) not in said


def test_a_cursor_is_checked_before_anything_is_read() -> None:
    assert live.answer("nonsense", "nonsense")[0] == 400
    assert b"cursor" in live.answer("nonsense", "nonsense")[1]


@pytest.fixture
def carried(store: Store, engine, spec: ExperimentSpec) -> Example:
    """A carried result, made as the program makes it: from the payload of the live route."""
    view_id = store.submit(spec)
    engine.run_all()
    payload = json.loads(live.readers().get(view_id).read(None))
    for key in ("cursor", "reset", "state", "progress"):  # of a moment and a viewer
        del payload[key]
    return Example("tiny", {"spec": spec.to_table(), "payload": payload})


def test_an_example_is_sent_whole_once(carried: Example) -> None:
    full = json.loads(carried.read(None))
    assert (full["reset"], full["state"]) == (True, "example")
    assert len(full["rows"]) == 51
    rest = json.loads(carried.read(live.Cursor.parse(full["cursor"])))
    assert (rest["reset"], rest["rows"], rest["cursor"]) == (False, [], full["cursor"])
    assert rest["headline"] == full["headline"]


def test_an_example_starts_over_for_the_cursor_of_an_experiment(carried: Example) -> None:
    assert json.loads(carried.read(live.Cursor("0123abcd", 4)))["reset"] is True


def test_an_examples_progress_is_complete_and_says_that_nothing_runs(carried: Example, spec) -> None:
    found = json.loads(carried.read(None))["progress"]
    assert found["fraction"] == 1.0
    assert found["step"] == found["total"] == spec.train.steps * len(spec.arms)
    assert found["eta_seconds"] is found["steps_per_second"] is found["heartbeat_age"] is None
    assert found["message"] == "Pre-computed: 3 paired seeds. Press Run for your own."


def test_an_example_has_its_arrays_and_sends_each_page_what_it_draws(carried: Example) -> None:
    array = {"none": {"first": 3, "values": [0.5]}}
    table = {"spec": carried.spec.to_table(), "payload": carried.payload, "arrays": {"density/10": array}}
    example = Example("tiny", table | {"payload": carried.payload | {"arrays": [[0, "density", 10]]}})
    page = json.loads(example.read(None, "curvature"))
    assert page["arrays"] == [[0, "density", 10]]
    assert page["progress"]["message"] == "Pre-computed: 3 paired seeds. Press Run in the Lab for your own."
    assert "headline" not in page
    assert "arrays" not in json.loads(example.read(None, "lab"))
    body, lasting = example.arrays("density", 10)
    assert (json.loads(body), lasting) == (array, False)
    with pytest.raises(NoArray, match="no density at step 11"):
        example.arrays("density", 11)


def test_the_examples_that_come_with_the_program_are_readable(app: Starlette, get) -> None:
    names = examples.example_names()
    folder = Path(examples.__file__).parents[1] / "results"
    assert names == sorted(path.stem for path in folder.glob("*.json"))
    for name in names:
        answer = get(app, f"/live/{examples.PREFIX}{name}")
        assert answer.status == 200
        assert json.loads(answer.body)["rows"]
