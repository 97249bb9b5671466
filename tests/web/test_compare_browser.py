"""The run browser of the Compare page: search, filters, names, and deletion with its way back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store, runs
from dropviz.web.compare.browser import A_PAGE
from dropviz.web.compare.search import Wanted, facets, found
from dropviz.web.plain import plain
from tests.web.looking import texts

OTHER = "f" * 32


def ended(store: Store, spec: ExperimentSpec, owner: str, *changes: str) -> str:
    view_id = store.submit(spec.with_settings(changes), owner=owner)
    store.request(view_id, "stop")
    return view_id


def ticked(app: AppTest) -> dict[str, bool]:
    found = {
        box.key.removeprefix("choose/"): box.value for box in app.checkbox if box.key.startswith("choose/")
    }
    return {key: value for key, value in found.items() if not key.startswith("example-")}


def runs_in_url(app: AppTest) -> list[str]:
    value: Any = app.query_params.get("runs", "")
    return (value if isinstance(value, str) else value[0]).split(",")


def test_a_tick_takes_a_run_into_the_url_and_out_again(visit, store: Store, spec, me: str) -> None:
    first, second = ended(store, spec, me), ended(store, spec, me, "p=0.2")
    app = visit("1_Compare", runs=first)
    assert ticked(app) == {first: True, second: False}
    app.checkbox(key=f"choose/{second}").check().run()
    assert not app.exception
    assert runs_in_url(app) == [first, second]
    app.checkbox(key=f"choose/{first}").uncheck().run()
    assert runs_in_url(app) == [second]


def test_others_runs_are_listed_once_they_are_shared(visit, store: Store, spec, me: str) -> None:
    mine, theirs = ended(store, spec, me), ended(store, spec, OTHER)
    assert list(ticked(visit("1_Compare"))) == [mine]
    store.runs.describe(theirs, OTHER, shared=True, note="private?")
    app = visit("1_Compare")
    assert list(ticked(app)) == [theirs, mine]
    assert "shared by somebody" in texts(app)
    assert OTHER not in texts(app)
    app.button(key=f"details/{theirs}").click().run()
    assert {box.key for box in app.text_input} == {"search"}


def test_a_name_a_tag_and_a_note_are_kept_and_shown_as_text(visit, store: Store, spec, me: str) -> None:
    view_id = ended(store, spec, me)
    app = visit("1_Compare", runs=view_id)
    app.button(key=f"details/{view_id}").click().run()
    app.text_input(key=f"name/{view_id}").set_value("**bold** <b>").run()
    app.text_area(key=f"note/{view_id}").set_value("for the talk").run()
    app.toggle(key=f"shared/{view_id}").set_value(True).run()
    app.button(key=f"pin/{view_id}").click().run()
    assert not app.exception
    (line,) = store.runs.listing(me)
    assert (line.name, line.note, line.shared, line.pinned) == ("**bold** <b>", "for the talk", True, True)
    assert app.checkbox(key=f"choose/{view_id}").label == plain("**bold** <b>")
    assert "**bold**" not in texts(app)


def test_a_run_that_may_not_be_shared_does_not_look_shared(
    visit, store: Store, spec, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_SHARED", 0)
    view_id = ended(store, spec, me)
    app = visit("1_Compare", runs=view_id)
    app.button(key=f"details/{view_id}").click().run()
    app.toggle(key=f"shared/{view_id}").set_value(True).run()
    assert not app.exception
    assert [toast.value for toast in app.toast] == [
        "You share 0 runs, and one person may share 0: stop sharing one of them first."
    ]
    assert app.toggle(key=f"shared/{view_id}").value is False
    assert not store.runs.listing(me)[0].shared


def test_delete_has_a_way_back(visit, store: Store, spec, me: str) -> None:
    first, second = ended(store, spec, me), ended(store, spec, me, "p=0.2")
    app = visit("1_Compare", runs=f"{first},{second}")
    app.button(key=f"details/{first}").click().run()
    app.button(key=f"delete/{first}").click().run()
    assert list(ticked(app)) == [second]
    assert runs_in_url(app) == [second]
    app.button(key="undo").click().run()
    assert not app.exception
    assert set(ticked(app)) == {first, second}


def test_a_deleted_run_can_be_taken_back_later(visit, store: Store, spec, me: str) -> None:
    view_id = ended(store, spec, me)
    store.runs.delete(view_id, me)
    app = visit("1_Compare")
    assert ticked(app) == {}
    app.toggle(key="deleted").set_value(True).run()
    app.button(key=f"restore/{view_id}").click().run()
    app.toggle(key="deleted").set_value(False).run()
    assert list(ticked(app)) == [view_id]


def test_a_shared_run_that_comes_back_beside_too_many_others_says_so(
    visit, store: Store, spec, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_SHARED", 1)
    first, second = ended(store, spec, me), ended(store, spec, me, "p=0.2")
    store.runs.describe(first, me, shared=True)
    app = visit("1_Compare")
    app.button(key=f"details/{first}").click().run()
    app.button(key=f"delete/{first}").click().run()
    store.runs.describe(second, me, shared=True)
    app.button(key="undo").click().run()
    assert not app.exception
    assert [toast.value for toast in app.toast] == [
        "It is back, for you alone: you share as many others as one person may."
    ]
    assert {line.id: line.shared for line in store.runs.listing(me)} == {first: False, second: True}


def test_a_run_under_way_stays_and_says_why(visit, store: Store, spec, me: str) -> None:
    view_id = store.submit(spec, owner=me)
    app = visit("1_Compare")
    app.button(key=f"details/{view_id}").click().run()
    app.button(key=f"delete/{view_id}").click().run()
    assert "stop it in the Lab first" in app.toast[0].value
    assert list(ticked(app)) == [view_id]


def test_many_runs_come_in_pages(visit, store: Store, spec, me: str, results: Path) -> None:
    made = [store.submit(spec, owner=me) for _ in range(A_PAGE + 3)]
    app = visit("1_Compare")
    assert list(ticked(app)) == made[::-1][:A_PAGE]
    app.session_state["page"] = "compare"  # the frame's own memory of where the visitor is
    app.session_state["list_page"] = 2
    app.run()
    assert not app.exception
    assert list(ticked(app)) == made[::-1][A_PAGE:]


def test_words_search_what_a_run_is_and_what_was_said_of_it(visit, store: Store, spec, me: str) -> None:
    first = ended(store, spec, me, 'arms=["l2"]')
    second = ended(store, spec, me, "data=two-moons")
    store.runs.describe(second, me, tags=["Lecture"], note="with Ada")
    for words, wanted in {
        "L2": [first],
        "moons lecture": [second],
        "ada": [second],
        "": [second, first],
    }.items():
        app = visit("1_Compare")
        app.text_input(key="search").set_value(words).run()
        assert list(ticked(app)) == wanted
    app = visit("1_Compare")
    app.text_input(key="search").set_value("nothing like it").run()
    assert "None of 2 runs fits" in texts(app)


@pytest.fixture
def lines(store: Store, spec: ExperimentSpec) -> dict[str, str]:
    """Name → id of a few runs."""
    made = {"mine": ended(store, spec, "me"), "moons": ended(store, spec, "me", "data=two-moons")}
    made["theirs"] = ended(store, spec, OTHER)
    store.runs.describe(made["theirs"], OTHER, shared=True, name="alpha")
    store.runs.describe(made["mine"], "me", pinned=True, tags=["a", "b"], name="beta")
    return made


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Wanted(), ["mine", "theirs", "moons"]),
        (Wanted(whose="mine"), ["mine", "moons"]),
        (Wanted(whose="shared"), ["theirs"]),
        (Wanted(pinned=True), ["mine"]),
        (Wanted(facets={"data": ["two-moons"]}), ["moons"]),
        (Wanted(facets={"tag": ["b", "c"], "state": ["stopped"]}), ["mine"]),
        (Wanted(facets={"model": ["cnn"]}), []),
        (Wanted(words="ALPHA"), ["theirs"]),
    ],
)
def test_filters_keep_what_fits(
    store: Store, lines: dict[str, str], wanted: Wanted, names: list[str]
) -> None:
    kept = found(store.runs.listing("me"), wanted, "Newest first", "me")
    assert [line.id for line in kept] == [lines[name] for name in names]


@pytest.mark.parametrize(
    ("order", "names"),
    [("Oldest first", ["mine", "moons", "theirs"]), ("By name", ["mine", "theirs", "moons"])],
)
def test_orders_leave_pinned_runs_in_front(
    store: Store, lines: dict[str, str], order: str, names: list[str]
) -> None:
    kept = found(store.runs.listing("me"), Wanted(), order, "me")
    assert [line.id for line in kept] == [lines[name] for name in names]


def test_facets_are_what_there_is(store: Store, lines: dict[str, str]) -> None:
    listing = store.runs.listing("me")
    assert facets(listing, "data") == ["digits", "two-moons"]
    assert facets(listing, "tag") == ["a", "b"]
    assert facets(listing, "origin") == ["Lab"]
    assert time.time() > listing[0].created_at
