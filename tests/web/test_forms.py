"""The form shows every knob with its own words, and hands back the spec that it was given."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo
from streamlit.testing.v1 import AppTest

from dropviz import datasets, models
from dropviz.choices import bounds_of, choices_of
from dropviz.experiment import (
    ExperimentSpec,
    ObserveChoices,
    SpecError,
    SurrogateChoices,
    TrainChoices,
    preset,
    preset_names,
)
from dropviz.web.knobs import Keys, summary, typed

VARIANTS = {
    "moons": ["data=two-moons"],
    "patients": ["data=breast-cancer", "model.activation=gelu"],
    "adam": ["train.optimizer=adam", "train.learning_rate=0.0003", "train.weight_decay=1e-5"],
    "schedule": ["train.optimizer=adamw", "train.schedule=cosine", "train.warmup=100"],
    "clipping": ["train.clip=0.25", "train.clip_noise=false"],
    "deep": ["model.widths=[7, 64, 4096]", 'model.dropout_at=["input", "hidden2"]'],
    "odd numbers": ["p=0.37", "data.label_noise=0.123", "train.momentum=0.99", "seeds=17", "first_seed=12"],
    "arms": ['arms=["dropout-256+mask-noise", "implicit", "none"]'],
    "surrogate": [
        "surrogate.estimator=sampled-label",
        "surrogate.hessian=constant",
        "surrogate.explicit=1.96",
    ],
    "observation": ["observe.statistics=0", "observe.evaluations=1", "observe.masks=1024"],
    "no dropout": ["p=0"],
    "much dropout": ["p=0.97"],
}


def form(source: str, text: str) -> None:
    import json

    import streamlit as st

    from dropviz.experiment import ExperimentSpec
    from dropviz.web.forms import spec_form
    from dropviz.web.knobs import Keys

    st.session_state["table"] = spec_form(Keys(source), ExperimentSpec.from_table(json.loads(text)))


def opened(spec: ExperimentSpec, source: str = "here") -> AppTest:
    app = AppTest.from_function(form, args=(source, json.dumps(spec.to_table())), default_timeout=30).run()
    assert not app.exception
    return app


def table(app: AppTest) -> dict[str, Any]:
    return app.session_state["table"]


def widgets(app: AppTest) -> dict[str, Any]:
    kinds = ("slider", "multiselect", "selectbox", "number_input", "text_input", "toggle", "file_uploader")
    return {widget.key: widget for kind in kinds for widget in app.get(kind)}


def fields() -> list[tuple[str, FieldInfo]]:
    """The path and the declaration of every knob of the default preset's form."""
    groups: dict[str, type[BaseModel]] = {
        "data.digits": datasets.registry.members["digits"],
        "model.mlp": models.registry.members["mlp"],
        "train": TrainChoices,
        "surrogate": SurrogateChoices,
        "observe": ObserveChoices,
    }
    inside = [
        (f"{group}.{name}", field)
        for group, choices in groups.items()
        for name, field in choices.model_fields.items()
        if name != "name"
    ]
    return [(name, ExperimentSpec.model_fields[name]) for name in ("p", "seeds")] + inside


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_comes_back_as_it_went_in(name: str) -> None:
    assert ExperimentSpec.from_table(table(opened(preset(name)))) == preset(name)


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_spec_comes_back_as_it_went_in(settings: list[str]) -> None:
    spec = preset("noisy-digits").with_settings(settings)
    assert ExperimentSpec.from_table(table(opened(spec))) == spec


@pytest.mark.parametrize("name", datasets.registry.members)
def test_every_data_set_can_be_chosen_and_has_its_own_knobs(name: str) -> None:
    app = opened(preset("noisy-digits"))
    app.selectbox(key="here/data.name").select(name).run()
    assert not app.exception
    assert table(app)["data"]["name"] == name
    assert ExperimentSpec.from_table(table(app)).data.name == name
    shown = {key.rpartition(".")[2] for key in widgets(app) if key.startswith(f"here/data.{name}.")}
    assert shown == set(datasets.registry.members[name].model_fields) - {"name"}


def test_another_data_set_starts_with_its_defaults_and_the_former_one_is_remembered() -> None:
    app = opened(preset("noisy-digits").with_settings(["data.train_size=300"]))
    app.selectbox(key="here/data.name").select("two-moons").run()
    assert table(app)["data"] == datasets.registry.read("two-moons").to_table()
    app.selectbox(key="here/data.name").select("digits").run()
    assert table(app)["data"]["train_size"] == 300


@pytest.mark.parametrize(("path", "field"), fields(), ids=[path for path, _ in fields()])
def test_every_knob_is_there_in_its_own_words(path: str, field: FieldInfo) -> None:
    widget = widgets(opened(preset("noisy-digits")))[f"here/{path}"]
    assert field.title
    assert field.description
    assert widget.label == field.title
    assert field.description in widget.help


def menu(app: AppTest, name: str) -> Any:
    return app.selectbox(key=f"here/{name}.name")


def test_only_models_that_can_do_the_task_are_offered_and_a_text_begins_with_an_lstm() -> None:
    app = opened(preset("noisy-digits"))
    titles = {name: member.title for name, member in models.registry.members.items()}
    assert titles["lstm"] not in menu(app, "model").options
    menu(app, "data").select("markov").run()
    assert not app.exception
    assert menu(app, "model").value == "lstm"
    assert titles["mlp"] not in menu(app, "model").options
    spec = ExperimentSpec.from_table(table(app))
    assert (spec.data.name, spec.model.name) == ("markov", "lstm")
    menu(app, "data").select("two-moons").run()
    assert ExperimentSpec.from_table(table(app)).model.name == "mlp"


def test_a_model_that_was_chosen_stays_as_long_as_it_fits() -> None:
    app = opened(preset("noisy-digits"))
    menu(app, "data").select("markov").run()
    menu(app, "model").select("gru").run()
    menu(app, "data").select("hmm").run()
    assert ExperimentSpec.from_table(table(app)).model.name == "gru"


def test_how_a_text_is_read_is_asked_of_texts_alone() -> None:
    app = opened(preset("noisy-digits"))
    segment = "here/language.segment"
    assert segment not in widgets(app)
    menu(app, "data").select("markov").run()
    assert "Text: segment and state" in [expander.label for expander in app.expander]
    app.number_input(key=segment).set_value(20).run()
    assert ExperimentSpec.from_table(table(app)).language.segment == 20


def test_what_is_set_is_what_is_handed_back() -> None:
    app = opened(preset("noisy-digits"))
    app.slider(key="here/p").set_value(0.2)
    app.number_input(key="here/seeds").set_value(5)
    app.number_input(key="here/train.steps").set_value(77)
    app.multiselect(key="here/arms").set_value(["dropout", "none"])
    app.selectbox(key="here/train.optimizer").select("adam")
    app.text_input(key="here/model.mlp.widths").set_value("16,8 , 4,")
    app.run()
    spec = ExperimentSpec.from_table(table(app))
    assert (spec.p, spec.seeds, spec.train.steps, spec.arms) == (0.2, 5, 77, ("dropout", "none"))
    assert (spec.train.optimizer, spec.model.to_table()["widths"]) == ("adam", [16, 8, 4])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("wide", "it must be a whole number"),
        ("", "give at least 1"),
        ("12.5", "it must be a whole number"),
        ("-3", "it must be at least 1"),
        ("9" * 400, "it must be at most 4096"),
        ("9" * 5000, "it must be a whole number"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused_by_the_server_and_stays_in_the_form(
    text: str, sentence: str
) -> None:
    app = opened(preset("noisy-digits"))
    app.text_input(key="here/model.mlp.widths").set_value(text).run()
    assert not app.exception
    assert app.text_input(key="here/model.mlp.widths").value == text
    with pytest.raises(SpecError, match=rf"widths.*is not possible: .*{sentence}"):
        ExperimentSpec.from_table(table(app))


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("007", 7), ("auto", "auto"), ("-1", "-1"), ("²", "²"), ("9" * 5000, "9" * 5000)],
)
def test_what_is_typed_is_a_number_where_it_can_be_read_as_one_and_is_refused_by_the_server(
    text: str, value: Any
) -> None:
    assert typed(text) == value
    asked = preset("noisy-digits").to_table()
    asked["observe"]["statistics"] = typed(text)
    if value in (7, "auto"):
        assert ExperimentSpec.from_table(asked).observe.statistics == value
        return
    with pytest.raises(SpecError, match=r"^statistics = .* is not possible: give a whole number from 0"):
        ExperimentSpec.from_table(asked)


def test_an_arm_may_have_any_k() -> None:
    app = opened(preset("noisy-digits"))
    arms = app.multiselect(key="here/arms")
    assert {"none", "dropout", "implicit"} <= set(arms.options)
    assert app.get("multiselect")[0].proto.accept_new_options


def test_another_source_starts_afresh() -> None:
    app = opened(preset("noisy-digits"))
    app.number_input(key="here/seeds").set_value(5).run()
    assert table(app)["seeds"] == 5
    assert table(opened(preset("noisy-digits"), "elsewhere"))["seeds"] == 8
    assert all(key.startswith("elsewhere/") for key in widgets(opened(preset("noisy-digits"), "elsewhere")))


def test_folded_knobs_are_summed_up_in_a_line_that_follows_them() -> None:
    app = opened(preset("noisy-digits"))
    labels = [expander.label for expander in app.expander]
    assert "Training images 400 · label noise 0.4" in labels
    line = "Hidden widths 128, 128 · activation relu · normalization none · skip connections off · dropout at hidden"
    assert line in labels
    app.number_input(key="here/data.digits.train_size").set_value(99).run()
    assert "Training images 99 · label noise 0.4" in [expander.label for expander in app.expander]


class Knobs(BaseModel):
    name: str = "knobs"
    rate: float = Field(0.5, gt=0, lt=1)
    size: int = Field(3, ge=1, le=9)
    open_end: float = Field(1.0, ge=0)
    free: float = 1.0
    kind: Literal["a", "b"] = "a"
    maybe: Literal["a", 2] | None = None


@pytest.mark.parametrize(
    ("name", "bounds"),
    [("rate", (0, 1)), ("size", (1, 9)), ("open_end", (0, None)), ("free", (None, None))],
)
def test_bounds_are_read_from_the_field(name: str, bounds: tuple[float | None, float | None]) -> None:
    assert bounds_of(Knobs.model_fields[name]) == bounds


@pytest.mark.parametrize(("name", "choices"), [("kind", ["a", "b"]), ("maybe", ["a", 2]), ("rate", [])])
def test_choices_are_read_from_the_annotation(name: str, choices: list[Any]) -> None:
    assert choices_of(Knobs.model_fields[name].annotation) == choices


def test_a_summary_prefers_what_is_in_the_form_and_shows_values_as_they_are() -> None:
    start = Knobs().model_dump() | {"kind": "GELU"}
    parts = summary(Knobs, {"x/k.size": 7}, Keys("x"), "k", start).split(" · ")
    assert [part.rpartition(" ")[2] for part in parts] == ["0.5", "7", "1", "1", "GELU", "None"]
