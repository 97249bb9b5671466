"""The Lab in a class, and the Class page: what a teacher and students see, and what the server lets them do."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dropviz.choices import SpecError
from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec
from dropviz.store import ClassRefusal, Classroom, Store
from dropviz.web import controls
from dropviz.web.classroom import page as class_page
from dropviz.web.classroom import pooled, teach
from dropviz.web.classroom.pooled import view_of
from dropviz.web.visitor import COOKIE
from tests.web.looking import pressable, run_in_url, texts

TEACHER, STUDENT = "e" * 32, "5" * 32


@pytest.fixture(autouse=True)
def look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled, "LOOK_SECONDS", 0.0)


@pytest.fixture
def room(store: Store, spec: ExperimentSpec) -> Classroom:
    """A class in which p is open."""
    return store.classes.create(ClassDefinition.of(spec, "Tuesday *group*", open=["p"], seeds=2), TEACHER)


@pytest.fixture
def code(store: Store, room: Classroom) -> str:
    return store.classes.code(room)


def widgets(app: AppTest) -> dict[str, bool]:
    """The setting that a widget of the form is of → whether it can be moved."""
    kinds = ("slider", "multiselect", "selectbox", "number_input", "text_input", "toggle")
    found = {}
    for kind in kinds:
        for widget in app.get(kind):
            match = re.fullmatch(r"class:[\w-]+:[^/]+/(\w+)\.?(?:[\w-]+\.)?(\w*)", widget.key or "")
            if match:
                found[f"{match[1]}.{match[2]}".rstrip(".")] = not widget.proto.disabled
    return found


def in_class(visit, code: str, **query: str) -> AppTest:
    app = visit("0_Lab", **{"class": code}, **query)
    assert not app.exception
    return app


def test_a_student_sees_the_class_the_seat_and_what_is_locked(
    visit, boards, me: str, store: Store, room: Classroom, code: str
) -> None:
    app = in_class(visit, code)
    assert r"Tuesday \*group\*" in texts(app)
    assert "You have seat 1: seeds 0 to 1, which nobody else has." in texts(app)
    assert "Locked, but for: Drop probability p." in texts(app)
    assert [name for name, free in widgets(app).items() if free] == ["p"]
    assert len(widgets(app)) > 25
    locked = next(field for field in app.number_input if field.key.endswith("/train.steps"))
    assert locked.label == "Steps"
    assert locked.help.endswith("Your teacher has locked this: it is the same for the whole class.")
    assert "Preset" not in [menu.label for menu in app.selectbox]
    assert pressable(app) == {"Run", "Run my seeds", "Everybody's results", "Leave the class"}
    (shown,) = boards(app)
    assert (shown["view"], shown["state"]) == (view_of(code), "open")
    assert store.classes.seat(room.id, me) == 0


def test_run_in_a_class_takes_the_seeds_of_the_seat_and_shows_the_own_run(
    visit, boards, me: str, cookies: dict[str, str], store: Store, engine, room: Classroom, code: str
) -> None:
    store.classes.join(room.id, "somebody who came first")
    app = in_class(visit, code)
    app.slider(key=f"class:{code}:class/p").set_value(0.2)
    before = {field.key for field in (*app.slider, *app.number_input, *app.selectbox)}
    app.button(key="run").click().run()
    assert not app.exception
    assert {field.key for field in (*app.slider, *app.number_input, *app.selectbox)} == before
    assert app.slider(key=f"class:{code}:class/p").value == 0.2
    found = store.experiment(run_in_url(app))
    assert (found.owner, found.origin) == (me, "class")
    assert (found.spec.p, list(found.spec.seed_list())) == (0.2, [2, 3])
    assert boards(app)[0]["view"] == found.id
    app.button(key="run").click().run()
    assert any("You have a run under way in this class" in error.value for error in app.error)
    engine.run_all()
    app.segmented_control(key="whose").set_value("The class").run()
    assert boards(app)[0]["view"].startswith("class-")


def test_the_form_of_a_run_has_what_its_owner_changed_and_the_class_for_the_rest(
    visit, me: str, store: Store, room: Classroom, code: str, spec: ExperimentSpec
) -> None:
    elsewhere = store.submit(spec.with_settings(["p=0.3", "train.steps=77"]), owner=me)
    app = in_class(visit, code, run=elsewhere)
    assert next(field.value for field in app.slider if field.key.endswith("/p")) == 0.3
    assert next(field.value for field in app.number_input if field.key.endswith("/train.steps")) == 40


@pytest.mark.parametrize(
    "forgery",
    [["train.steps=41"], ["data=two-moons"], ["seeds=9"], ['arms=["none"]'], ["observe.refreshes=9"]],
)
def test_a_forged_form_is_refused_by_the_way_that_the_page_takes(
    store: Store, room: Classroom, monkeypatch: pytest.MonkeyPatch, forgery: list[str]
) -> None:
    monkeypatch.setattr(controls, "visitor", lambda: STUDENT)
    table = room.definition.start().with_settings(forgery).to_table()
    with pytest.raises(SpecError, match="is not possible in this class"):
        controls.submit(table, room.id)
    assert not store.has_queued()


def test_a_preset_in_the_session_or_in_the_url_changes_nothing_that_is_locked(
    visit, me: str, store: Store, code: str, spec: ExperimentSpec
) -> None:
    app = visit("0_Lab")
    app.selectbox(key="preset/preset:noisy-digits").select("markov-lstm").run()
    app.query_params["class"] = code
    app.query_params["preset"] = "markov-lstm"
    app.query_params["train.steps"] = "7"
    app.run()
    assert not app.exception
    app.button(key="run").click().run()
    assert store.experiment(run_in_url(app)).spec.train.steps == spec.train.steps


@pytest.mark.parametrize("wrong", ["nonsense", "![x](http://example.org/x.png)", "abcd-efgh-jkmn-pqrs"])
def test_a_link_that_was_not_given_out_is_said_to_be_none(visit, results: Path, wrong: str) -> None:
    for page in ("0_Lab", "7_Class"):
        app = visit(page, **{"class": wrong})
        assert not app.exception
        assert "This link leads to no class" in texts(app)
        assert "check it, or ask your teacher for it again." in texts(app)
        app.button(key="leave").click().run()
        assert "class" not in app.query_params
        assert "This link leads to no class" not in texts(app)


def test_who_comes_after_the_end_sees_the_results_and_cannot_run(
    visit, boards, me: str, store: Store, room: Classroom, code: str
) -> None:
    store.classes.close(room.id)
    app = in_class(visit, code)
    assert any("This class is closed" in one.value for one in app.warning)
    assert app.button(key="run").disabled
    assert boards(app)[0]["state"] == "closed"
    assert store.classes.seat(room.id, me) is None


def test_a_class_that_ends_between_drawing_and_run_refuses(
    visit, me: str, store: Store, spec: ExperimentSpec
) -> None:
    room = store.classes.create(ClassDefinition.of(spec, "Short", expires_at=time.time() + 3600), TEACHER)
    app = in_class(visit, store.classes.code(room))
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE classes SET closed_at = 1")
    with pytest.raises(ClassRefusal):
        controls.store().classes.submit(room.id, me, room.definition.start())
    app.button(key="run").click().run()
    assert not store.has_queued()


def test_leaving_a_class_gives_the_lab_back_and_keeps_the_seat(
    visit, me: str, store: Store, room: Classroom, code: str, results: Path
) -> None:
    app = in_class(visit, code)
    app.button(key="leave").click().run()
    assert not app.exception
    assert "class" not in app.query_params
    assert "Preset" in [menu.label for menu in app.selectbox]
    assert store.classes.seat(room.id, me) == 0


def test_the_teacher_takes_no_seat_by_looking(
    visit, me: str, cookies: dict[str, str], store: Store, room: Classroom, code: str
) -> None:
    cookies[COOKIE] = TEACHER
    app = in_class(visit, code)
    assert "You teach this class." in texts(app)
    assert store.classes.classroom(room.id).joined == 0
    app.button(key="run").click().run()
    assert store.classes.seat(room.id, TEACHER) == 0


def form(text: str) -> None:
    import json

    from dropviz.web.classroom.teach import class_form

    class_form(json.loads(text))


def test_a_class_is_set_up_from_what_the_form_holds(
    me: str, store: Store, spec: ExperimentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(teach, "open_class", opened.append)
    app = AppTest.from_function(form, args=(json.dumps(spec.to_table()),), default_timeout=30).run()
    assert not app.exception
    title = next(field for field in app.text_input if field.label == "Title")
    title.set_value("Our class")
    next(field for field in app.multiselect if field.label == "What students may change").set_value(
        ["p", "arms"]
    )
    next(field for field in app.number_input if field.label == "Seeds of each student").set_value(4)
    next(field for field in app.selectbox if field.label == "When it ends").set_value("In 2 hours")
    app.button(key="create_class").click().run()
    assert not app.exception
    (found,) = store.classes.of(me)
    assert opened == [store.classes.code(found)]
    definition = found.definition
    assert (definition.title, definition.open, definition.seeds) == ("Our class", ("p", "arms"), 4)
    assert definition.expires_at == pytest.approx(time.time() + 7200, abs=60)


@pytest.mark.parametrize(
    ("changes", "said"), [({"arms": []}, "No arm is chosen"), ({"p": 7}, "p = 7 is not possible")]
)
def test_what_cannot_be_run_cannot_be_taught(
    me: str, store: Store, spec: ExperimentSpec, changes: dict, said: str
) -> None:
    table = json.dumps(spec.to_table() | changes)
    app = AppTest.from_function(form, args=(table,), default_timeout=30).run()
    assert said in app.error[0].value.replace("\\", "")
    assert store.classes.of(me) == []


def test_the_lab_offers_to_teach_and_a_class_does_not(visit, results: Path, store: Store, code: str) -> None:
    assert [one.label for one in visit("0_Lab").button].count("Teach this") == 1
    assert "Teach this" not in [one.label for one in in_class(visit, code).button]


def test_the_class_page_without_a_class_says_how_to_begin_and_lists_ones_own(
    visit, me: str, store: Store, room: Classroom
) -> None:
    app = visit("7_Class")
    assert not app.exception
    assert "press **Teach this**" in texts(app)
    assert pressable(app) == {"Open the Lab"}
    store.classes.create(room.definition, me)
    assert r"Tuesday \*group\* · open · 0 students" in texts(visit("7_Class"))


def test_the_teacher_sees_the_link_the_code_and_the_count(
    visit, me: str, cookies: dict[str, str], store: Store, room: Classroom, code: str
) -> None:
    cookies[COOKIE] = TEACHER
    app = visit("7_Class", **{"class": code})
    assert not app.exception
    assert f"http://localhost:8501/join/{code}" in [one.value for one in app.code]
    assert app.metric[0].value == "0"
    assert "Other computers cannot open this address." in texts(app)
    store.classes.join(room.id, STUDENT)
    assert app.run().metric[0].value == "1"


def test_the_teacher_closes_and_opens_the_class(
    visit, boards, me: str, cookies: dict[str, str], store: Store, room: Classroom, code: str
) -> None:
    cookies[COOKIE] = TEACHER
    store.classes.join(room.id, STUDENT)
    app = visit("7_Class", **{"class": code})
    assert boards(app)[0]["view"] == view_of(code)
    app.button(key="close").click().run()
    assert store.classes.classroom(room.id).closed_at is not None
    assert any("This class is closed" in one.value for one in app.warning)
    app.button(key="close").click().run()
    assert store.classes.classroom(room.id).closed_at is None


def test_others_see_results_and_no_buttons_of_the_teachers(
    visit, boards, me: str, store: Store, room: Classroom, code: str
) -> None:
    app = visit("7_Class", **{"class": code})
    assert not app.exception
    assert boards(app)[0]["view"] == view_of(code)
    assert pressable(app) == {"To the Lab"}
    assert store.classes.classroom(room.id).joined == 0
    class_page._close(room, True)  # a click that no page of theirs has
    assert store.classes.classroom(room.id).closed_at is None


def test_different_settings_are_chosen_from_a_menu(
    visit, boards, me: str, store: Store, engine, room: Classroom, code: str
) -> None:
    for name, p in (("ada", 0.5), ("bob", 0.2)):
        store.classes.submit(room.id, name, room.definition.start().with_settings([f"p={p}"]))
    engine.run_all()
    app = visit("7_Class", **{"class": code})
    menu = app.selectbox(key="class_group")
    assert menu.options == ["As the class is set · 1 student", "p = 0.2 · 1 student"]
    menu.select_index(1).run()
    assert not app.exception
    assert re.fullmatch(rf"class-{code}-g[0-9a-f]{{8}}", boards(app)[0]["view"])


def test_the_qr_code_is_that_of_the_link() -> None:
    link = "http://teacher.example:8501/join/abcd-efgh-jkmn-pqrs"
    assert class_page.qr_code(link) == class_page.qr_code(link)
    assert class_page.qr_code(link) != class_page.qr_code(link + "x")
    assert class_page.qr_code(link).startswith("data:image/svg+xml")
