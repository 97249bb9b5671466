"""The Lessons page against a store: each step of a lesson, links in the cold, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dropviz.experiment import preset
from dropviz.lessons import entries
from dropviz.web.lessons.reveal import configuration
from tests.lessons.samples import CHOOSE, write
from tests.web.looking import texts

DRAWN = "10,40,90"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A teacher's folder with one small lesson."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("DROPVIZ_LESSONS", str(folder))
    write(folder, "99-small")
    return folder


def queried(app: AppTest, name: str) -> str:
    """What the URL says; AppTest gives what a script set itself as a list."""
    found = app.query_params.get(name, "")
    return found if isinstance(found, str) else found[0]


def shown(app: AppTest) -> str:
    assert not app.exception
    kinds = ("warning", "success", "latex")
    return texts(app) + "\n".join(element.value for kind in kinds for element in app.get(kind))


def test_the_list_has_every_lesson_and_begins_one(visit) -> None:
    app = visit("4_Lessons")
    found = shown(app)
    for one in entries():
        assert one.lesson is not None
        assert one.lesson.title in found.replace("\\", "")
    app.button(key="begin/masks").click().run()
    assert (queried(app, "lesson"), queried(app, "step")) == ("masks", "claim")
    assert "Take one minibatch" in shown(app)


@pytest.mark.parametrize("one", entries(), ids=[one.name for one in entries()])
@pytest.mark.parametrize("step", ["claim", "predict", "run", "reveal"])
def test_every_step_of_every_lesson_opens_in_the_cold(visit, step: str, one) -> None:
    app = visit("4_Lessons", lesson=one.name, step=step)
    found = shown(app)
    assert one.lesson.title in found.replace("\\", "")
    assert not app.error
    if step == "reveal":
        assert f"Recorded, {one.lesson.experiment.recorded_seeds} seeds" in found
        assert one.lesson.equation.tex.split()[0] in found
        assert "You made no prediction" in found or one.lesson.predict.kind != "draw"


def test_a_lesson_goes_from_claim_to_reveal(visit, own: Path, engine) -> None:
    app = visit("4_Lessons", lesson="small", guess=DRAWN)
    app.button(key="to_predict").click().run()
    assert queried(app, "step") == "predict"
    app.button(key="keep").click().run()
    assert (queried(app, "step"), queried(app, "guess")) == ("run", DRAWN)
    assert app.button(key="start").label == "Run it here"
    assert "no recorded result" in shown(app)
    app.button(key="start").click().run()
    run = queried(app, "run")
    assert len(run) == 32
    assert engine.store.experiment(run).origin == "lesson"
    assert app.button(key="stop").label == "Stop"
    engine.run_all()
    app.run()
    app.button(key="reveal").click().run()
    found = shown(app)
    assert "Run here, 3 seeds" in found
    assert "holds" in found
    assert "furthest apart" in found
    assert "An explanation" in found
    app.button(key="next").click().run()
    assert queried(app, "lesson") == ""
    assert "guided experiments" in shown(app)


def test_a_reveal_waits_for_a_run_that_is_under_way(visit, own: Path, engine) -> None:
    app = visit("4_Lessons", lesson="small", step="run")
    app.button(key="start").click().run()
    again = visit("4_Lessons", lesson="small", step="reveal", run=queried(app, "run"), guess=DRAWN)
    assert "An explanation" not in shown(again)
    engine.run_all()
    again.run()
    assert "An explanation" in shown(again)


def test_a_choice_is_kept_and_compared(visit, own: Path, engine) -> None:
    write(own, "99-small", predict=CHOOSE)
    app = visit("4_Lessons", lesson="small", step="predict")
    assert app.button(key="keep").disabled
    app.radio(key="options/small").set_value(0).run()
    app.button(key="keep").click().run()
    assert queried(app, "guess") == "1"
    app.button(key="start").click().run()
    engine.run_all()
    app.run()
    app.button(key="reveal").click().run()
    assert "You said: It falls. It came out otherwise: It rises." in shown(app)


def test_one_may_go_on_without_a_prediction(visit, own: Path) -> None:
    app = visit("4_Lessons", lesson="small", step="predict")
    app.button(key="skip").click().run()
    assert (queried(app, "step"), queried(app, "guess")) == ("run", "")


def test_a_failed_run_says_why_and_can_be_run_again(visit, own: Path, engine) -> None:
    app = visit("4_Lessons", lesson="small", step="run")
    app.button(key="start").click().run()
    while engine.store.has_queued():
        engine.finish(engine.start(), "failed", "Diverged: The loss was not finite.")
    app.run()
    assert "The loss was not finite" in shown(app).replace("\\", "")
    assert not app.button(key="start").disabled


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"lesson": "nonsense"}, "There is no lesson 'nonsense'"),
        ({"lesson": "masks", "step": "sideways"}, "Take one minibatch"),
        ({"lesson": "masks", "step": "run", "run": "f" * 32}, "There is no experiment"),
        ({"lesson": "masks", "step": "reveal", "guess": "1,x,nan,<b>"}, "You made no prediction"),
        ({"lesson": "own-data", "step": "reveal", "guess": "77"}, "It lowers it"),
    ],
)
def test_a_link_that_is_wrong_is_met_calmly(visit, query: dict[str, str], said: str) -> None:
    assert said in shown(visit("4_Lessons", **query)).replace("\\", "")


def test_a_run_of_something_else_is_refused_in_a_sentence(visit, own: Path, engine, spec) -> None:
    other = engine.store.submit(spec.with_settings(['arms=["none"]']))
    engine.run_all()
    found = shown(visit("4_Lessons", lesson="small", step="reveal", run=other)).replace("\\", "")
    assert "This run is not one of this lesson" in found


def test_a_broken_file_is_said_in_the_place_of_that_lesson_only(visit, own: Path) -> None:
    (own / "99-small.md").write_text("+++\ntitle = 3\n+++\n", encoding="utf-8")
    app = visit("4_Lessons")
    assert "99-small.md: title = 3 is not possible: it must be text." in "".join(
        e.value for e in app.error
    ).replace("\\", "")
    assert app.button(key="begin/masks").label == "Begin"
    assert not visit("4_Lessons", lesson="masks").error


def test_the_menu_goes_to_another_lesson_and_remembers_the_prediction(visit, own: Path) -> None:
    app = visit("4_Lessons", lesson="small", step="run", guess=DRAWN)
    app.radio(key="menu/small").set_value("masks").run()
    assert (queried(app, "lesson"), queried(app, "guess")) == ("masks", "")
    app.radio(key="menu/masks").set_value("small").run()
    assert queried(app, "guess") == DRAWN


@pytest.mark.parametrize("one", entries(), ids=[one.name for one in entries()])
def test_a_link_to_another_page_names_the_lessons_configuration_changed(one) -> None:
    for link in one.lesson.links:
        settings = configuration(one.lesson, link)
        start = preset(settings.pop("preset"))
        found = start.with_settings(f"{key}={value}" for key, value in settings.items())
        assert found == one.lesson.spec.with_settings(link.settings)
