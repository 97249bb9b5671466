"""A spec as the query of a URL: short, exact, and refused with a sentence where it is wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dropviz import datasets, models
from dropviz.experiment import ExperimentSpec, SpecError, preset, preset_names
from dropviz.experiment.links import LONGEST, own, query_of, spec_of
from dropviz.strategies import examples

PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SOMETIMES: dict[str, st.SearchStrategy[Any]] = {
    "p": st.floats(0, 0.99) | st.just(-0.0),
    "seeds": st.integers(1, 1024),
    "first_seed": st.integers(0, 2**31),
    "arms": st.lists(st.sampled_from(examples()), min_size=1, max_size=8, unique=True),
    "train.steps": st.integers(1, 10**6),
    "train.learning_rate": st.floats(1e-300, 1e12),
    "train.optimizer": st.sampled_from(["sgd", "adam", "adamw"]),
    "train.keep_best": st.booleans(),
    "train.clip": st.floats(0, 1e12) | st.just(-0.0),
    "surrogate.estimator": st.sampled_from(["auto", "exact", "forward"]),
    "language.random_lengths": st.booleans(),
    "observe.statistics": st.integers(0, 1000) | st.just("auto"),
    "data.train_size": st.integers(1, 400),
    "data.label_noise": st.floats(0, 1),
    "model.widths": st.lists(st.integers(1, 4096), max_size=4),
    "model.dropout_at": st.lists(st.sampled_from(["input=0.2", "hidden", "head", "embedding"]), max_size=3),
    "model.residual": st.booleans(),
}


@st.composite
def specs(draw: st.DrawFn) -> ExperimentSpec:
    """Any preset with some of its settings changed, to any data set and a model that can learn it."""
    table = preset(draw(st.sampled_from(preset_names()))).to_table()
    if draw(st.booleans()):
        name = draw(st.sampled_from([n for n in datasets.registry.members if n not in ("csv", "text")]))
        table["data"] = {"name": name}
        task = datasets.registry.read(name).task
        table["model"] = {"name": draw(st.sampled_from(list(models.fitting(models.registry.members, task))))}
    members = {"data": datasets.registry, "model": models.registry}
    for key in draw(st.lists(st.sampled_from(list(SOMETIMES)), max_size=6, unique=True)):
        group, _, knob = key.rpartition(".")
        known = members[group].members[table[group]["name"]].model_fields if group in members else None
        if known is None or knob in known:
            (table[group] if group else table)[knob] = draw(SOMETIMES[key])
    try:
        return ExperimentSpec.from_table(table)
    except SpecError:
        assume(False)
        raise


@given(specs())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_spec_reads_back_exactly_from_a_bounded_query(spec: ExperimentSpec) -> None:
    query = query_of(spec)
    text = urlencode(query)
    assert len(text) <= LONGEST
    assert spec_of(dict(parse_qsl(text, keep_blank_values=True))).canonical() == spec.canonical()


@given(label=PATHS)
@settings(max_examples=100, deadline=None)
def test_any_text_reads_back_exactly(label: str) -> None:
    """Of knobs, only the columns and files of a person's own are free text; their specs need the file, so only the text is tried."""
    from dropviz.experiment.links import _text
    from dropviz.experiment.spec import read_setting

    assert read_setting(_text(label), of_a_list=False) == label
    assert read_setting(_text([label, "1", label]), of_a_list=True) == [label, "1", label]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_its_name(name: str) -> None:
    assert query_of(preset(name)) == {"preset": name}
    assert spec_of({"preset": name}) == preset(name)


def test_a_query_is_what_a_person_would_write() -> None:
    spec = preset("classroom").with_settings(["p=0.2", "train.steps=900", "arms=none,dropout"])
    assert query_of(spec) == {
        "preset": "classroom",
        "p": "0.2",
        "arms": "none,dropout",
        "train.steps": "900",
    }
    assert spec_of({"p": "0.2"}) == preset("noisy-digits").with_settings(["p=0.2"])


def test_the_preset_is_the_one_with_the_shortest_query() -> None:
    near = preset("markov-lstm").with_settings(["seeds=4"])
    assert query_of(near) == {"preset": "markov-lstm", "seeds": "4"}


def test_another_data_set_brings_its_own_knobs_whatever_the_order() -> None:
    query = {"data.noise": "0.1", "data.name": "two-moons", "model.widths": "16,16", "preset": "classroom"}
    spec = spec_of(query)
    assert (spec.data.name, spec.to_table()["data"]["noise"]) == ("two-moons", 0.1)
    assert spec.to_table()["model"]["widths"] == [16, 16]
    assert (
        spec_of({"data": "two-moons", "preset": "classroom", "data.noise": "0.1", "model.widths": "16,16"})
        == spec
    )
    assert "data.train_size" not in query_of(spec)


def test_commas_make_a_list_of_one_entry_too() -> None:
    assert spec_of({"arms": "none"}).arms == ("none",)
    assert spec_of({"model.widths": "64"}).to_table()["model"]["widths"] == [64]
    assert spec_of({"model.dropout_at": "input,"}).to_table()["model"]["dropout_at"] == ["input"]


def test_what_is_no_setting_is_left_alone() -> None:
    assert own({"run": "x", "embed": "true", "utm_source": "mail", "p": "0.1", "train.steps": "3"}) == {
        "p": "0.1",
        "train.steps": "3",
    }


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"p": "2"}, "p = 2 is not possible: it must be below 1."),
        ({"p": "nan"}, "p = nan is not possible: it must be a finite number."),
        ({"preset": "noisy-digit"}, "did you mean 'noisy-digits'?"),
        ({"train.stepz": "3"}, "train.stepz is not a setting: did you mean 'steps'?"),
        ({"train.steps.more": "3"}, "'steps' is not a group of settings"),
        ({"data.name": "digts"}, "did you mean 'digits'?"),
        ({"arms": "none,dropuot"}, "'dropuot' is not an arm"),
        ({"arms": ""}, "arms"),
        ({"model": "[" * 1000}, "is not a model"),
        ({"data.name": "x" * (LONGEST + 1)}, "This link is longer than 4,000 characters"),
    ],
)
def test_a_bad_link_is_refused_with_a_sentence(query: dict[str, str], sentence: str) -> None:
    with pytest.raises(SpecError) as refused:
        spec_of(query)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_that_no_link_holds_say_what_to_do_instead() -> None:
    arms = [f"dropout-{k}+mask-noise" for k in range(2, 18)]
    wide = preset("noisy-digits").model_copy(update={"arms": tuple(arms * 20)})
    with pytest.raises(SpecError, match="run them, and share the link to the result"):
        query_of(wide)
