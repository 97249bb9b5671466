"""The Lab's form and the URL: a link opens the form, a change of the form is a change of the URL, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dropviz.experiment import preset
from dropviz.store import Store
from dropviz.web import shown
from tests.web.looking import run_in_url, texts


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser's URL is always up to date."""
    monkeypatch.setattr(shown, "SETTLED_SECONDS", 0.0)


def in_url(app: AppTest) -> dict[str, str]:
    return {key: text if isinstance(text, str) else text[-1] for key, text in app.query_params.items()}


def go(app: AppTest, **query: str) -> AppTest:
    """As Back, Forward or an address that is typed does."""
    for key in list(app.query_params):
        del app.query_params[key]
    for key, text in query.items():
        app.query_params[key] = text
    return app.run()


def seeds(app: AppTest):
    return next(field for field in app.number_input if field.label == "Seeds")


def p(app: AppTest):
    return next(field for field in app.slider if field.label.startswith("Drop probability"))


def test_a_link_opens_the_form_as_it_was(visit, results: Path) -> None:
    app = visit("0_Lab", preset="classroom", p="0.2", arms="none,dropout", **{"data.train_size": "100"})
    assert not app.exception
    assert (p(app).value, seeds(app).value) == (0.2, 6)
    assert next(field for field in app.multiselect if field.label == "Arms").value == ["none", "dropout"]
    assert app.selectbox[0].value == "classroom"
    assert in_url(app)["p"] == "0.2"


def test_an_untouched_form_needs_nothing_in_the_url(visit, results: Path) -> None:
    assert in_url(visit("0_Lab")) == {}


def test_a_change_of_the_form_is_a_change_of_the_url(visit, results: Path) -> None:
    app = visit("0_Lab")
    seeds(app).set_value(3).run()
    assert in_url(app) == {"preset": "noisy-digits", "seeds": "3"}
    app.selectbox[0].select("classroom").run()
    assert in_url(app) == {"preset": "classroom"}


def test_other_parts_of_the_url_stay(visit, results: Path) -> None:
    app = visit("0_Lab", theme="x", seeds="3")
    seeds(app).set_value(4).run()
    assert in_url(app) == {"theme": "x", "preset": "noisy-digits", "seeds": "4"}


def test_back_and_forward_bring_the_form_along(visit, results: Path, settled: None) -> None:
    app = visit("0_Lab")
    seeds(app).set_value(3).run()
    p(app).set_value(0.2).run()
    go(app, preset="noisy-digits", seeds="3")
    assert (seeds(app).value, p(app).value) == (3, 0.5)
    go(app)
    assert (seeds(app).value, p(app).value) == (8, 0.5)
    assert in_url(app) == {}
    go(app, preset="noisy-digits", seeds="3", p="0.2")
    assert (seeds(app).value, p(app).value) == (3, 0.2)


def test_a_change_that_outran_the_browsers_url_is_kept(visit, results: Path) -> None:
    app = visit("0_Lab")
    seeds(app).set_value(3).run()
    for key in list(app.query_params):
        del app.query_params[key]
    p(app).set_value(0.2).run()
    assert (seeds(app).value, p(app).value) == (3, 0.2)
    assert in_url(app) == {"preset": "noisy-digits", "seeds": "3", "p": "0.2"}


def test_a_press_that_outran_the_browsers_url_runs_what_the_form_shows(
    visit, results: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "SETTLED_SECONDS", 3600.0)
    app = visit("0_Lab")
    seeds(app).set_value(3).run()
    for key in list(app.query_params):
        del app.query_params[key]
    app.button(key="run").click().run()
    assert store.experiment(run_in_url(app)).spec.seeds == 3
    for key in list(app.query_params):
        del app.query_params[key]
    app.run()
    assert len(run_in_url(app)) == 32


@pytest.mark.parametrize(
    ("query", "sentence", "seeds_then"),
    [
        ({"preset": "classroom", "p": "7"}, "p = 7 is not possible: it must be below 1.", 6),
        ({"preset": "class"}, "'class' is not a preset", 8),
        ({"preset": "classroom", "train.stepz": "7"}, "train.stepz is not a setting", 6),
    ],
)
def test_a_bad_link_is_told_and_the_form_falls_back_to_the_preset(
    visit, results: Path, query: dict[str, str], sentence: str, seeds_then: int
) -> None:
    app = visit("0_Lab", **query)
    assert not app.exception
    assert sentence in app.error[0].value.replace("\\", "")
    assert seeds(app).value == seeds_then
    assert in_url(app) == query
    seeds(app).set_value(2).run()
    assert not app.error
    assert in_url(app)["seeds"] == "2"


def test_what_a_bad_link_says_is_shown_as_text(visit, results: Path) -> None:
    app = visit("0_Lab", **{"data.name": "![x](https://example.org/x.png)"})
    assert "![x](" not in app.error[0].value


def test_run_puts_the_run_in_place_of_the_settings_and_back_returns_to_them(
    visit, boards, results: Path, store: Store, settled: None
) -> None:
    app = visit("0_Lab", preset="classroom", seeds="2")
    app.button(key="run").click().run()
    assert set(in_url(app)) == {"run"}
    view_id = run_in_url(app)
    assert boards(app)[0]["view"] == view_id
    seeds(app).set_value(5).run()
    assert set(in_url(app)) == {"run"}
    go(app, preset="classroom", seeds="2")
    assert (seeds(app).value, boards(app)) == (2, [])
    go(app, run=view_id)
    assert (seeds(app).value, boards(app)[0]["view"]) == (2, view_id)


def test_a_run_in_the_url_comes_before_settings(visit, store: Store, spec) -> None:
    app = visit("0_Lab", run=store.submit(spec), seeds="7")
    assert seeds(app).value == spec.seeds


def test_back_to_the_example_keeps_the_form_and_names_it(visit, results: Path, store: Store) -> None:
    view_id = store.submit(preset("classroom").with_settings(["seeds=3"]))
    app = visit("0_Lab", run=view_id)
    app.button(key="back").click().run()
    assert seeds(app).value == 3
    assert in_url(app) == {"preset": "classroom", "seeds": "3"}


def test_coming_from_another_page_the_form_is_as_it_was_left(visit, results: Path) -> None:
    app = visit("0_Lab")
    seeds(app).set_value(3).run()
    for key in list(app.query_params):
        del app.query_params[key]
    app.session_state["arrived"] = True
    app.run()
    assert seeds(app).value == 3
    assert in_url(app) == {"preset": "noisy-digits", "seeds": "3"}
    assert "Choose a preset" in texts(app)


def test_a_menu_that_was_gone_for_a_moment_chooses_nothing(
    visit, results: Path, store: Store, settled: None
) -> None:
    app = visit("0_Lab", preset="classroom", seeds="2")
    sent = app._tree.get_widget_states()
    view_id = store.submit(preset("classroom").with_settings(["seeds=2"]))
    go(app, run=view_id)
    app.query_params.clear()
    app.query_params.update(preset="classroom", seeds="2")
    app._run(sent)  # the browser had not drawn the run when it went back, so it sends what it had
    assert seeds(app).value == 2
    assert in_url(app) == {"preset": "classroom", "seeds": "2"}
