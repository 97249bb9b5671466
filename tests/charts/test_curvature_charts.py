"""The charts of the Curvature page: what they ask for, and what they say of themselves."""

from __future__ import annotations

import re

import pytest

from dropviz.charts import Subject, charts, reads
from dropviz.experiment import preset
from tests.charts.subjects import SUBJECTS, named


@pytest.fixture(params=SUBJECTS.values(), ids=SUBJECTS.keys())
def subject(request: pytest.FixtureRequest) -> Subject:
    return request.param


def test_a_page_asks_for_the_metrics_of_its_own_charts_only() -> None:
    assert reads("lab", "validation/loss")
    assert not reads("curvature", "validation/loss")
    assert reads("curvature", "layers/anything/hessian_trace_se")
    assert not reads("lab", "layers/anything/hessian_trace_se")
    assert not reads("curvature", "layers/anything/gradient_norm")


def test_every_panel_of_the_curvature_page_says_of_what_it_is(subject: Subject) -> None:
    for chart in charts("curvature"):
        assert re.search(
            r"on a fixed probe of 64 training (examples|tokens)|fixed minibatches|weights|Held-out|first seed",
            chart.subtitle(subject),
        )


def test_error_bars_are_named(subject: Subject) -> None:
    for chart in charts("curvature"):
        drawn = any("error" in trace.meta or "errors" in trace.meta for trace in chart.figure(subject).data)
        assert not drawn or re.search(r"± (s\.e\.|residual)|95 % t interval", chart.subtitle(subject))


def test_the_slice_says_that_other_planes_look_different(subject: Subject) -> None:
    text = named("loss-slice").subtitle(subject)
    assert f"one plane of {subject.parameters:,} dimensions" in text
    assert "other planes look different" in text


def test_a_probe_is_no_larger_than_the_training_split_and_holds_whole_segments() -> None:
    few = preset("noisy-digits").with_settings(["data.train_size=50", "observe.probe=64"])
    assert "50 training examples" in Subject.of(few).measured
    text = preset("markov-lstm").with_settings(["observe.probe=64", "language.segment=35"])
    assert "70 training tokens" in Subject.of(text).measured
