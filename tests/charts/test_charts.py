"""What every chart keeps to: names, axes, looks, and traces that say what fills them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dropviz.charts import Chart, Subject, arm_style, charts, template
from dropviz.charts.style import Mode
from dropviz.experiment import preset
from tests.charts.subjects import ARMS, SUBJECTS, named

ROLES = {
    "line",
    "band",
    "points",
    "seeds",
    "mean",
    "effect",
    "effect-label",
    "surface",
    "examples",
    "reference",
    "parts",
    "profile",
    "density",
    "spectrum",
    "slice",
    "center",
}
# Of no arm in particular, or of the one that the page's menu chooses.
SHARED = {"effect", "effect-label", "examples", "reference", "spectrum", "slice", "center"}
PLAIN_DASHES = {"solid", "dot", "dash", "longdash", "dashdot", "longdashdot"}


@pytest.fixture(params=charts(), ids=lambda chart: chart.name)
def chart(request: pytest.FixtureRequest) -> Chart:
    return request.param


@pytest.fixture(params=SUBJECTS.values(), ids=SUBJECTS.keys())
def subject(request: pytest.FixtureRequest) -> Subject:
    return request.param


def axes(figure: go.Figure) -> Iterator[tuple[str, Any]]:
    for name in figure.layout:
        if re.fullmatch(r"[xy]axis\d*", name) and figure.layout[name].to_plotly_json():
            yield name, figure.layout[name]


def trace_of(figure: go.Figure, **meta: Any) -> Any:
    (found,) = (trace for trace in figure.data if meta.items() <= trace.meta.items())
    return found


def test_names_and_places_are_unique_and_charts_come_in_order_of_their_places() -> None:
    found = charts()
    assert len({chart.name for chart in found}) == len(found) >= 8
    places = [chart.place for chart in found]
    assert places == sorted(set(places))


def test_every_trace_says_its_role_and_its_arm(chart: Chart, subject: Subject) -> None:
    figure = chart.figure(subject)
    assert figure.data
    for trace in figure.data:
        assert trace.meta["role"] in ROLES
        assert ("arm" not in trace.meta) == (trace.meta["role"] in SHARED)
        assert trace.meta.get("arm", subject.arms[0]) in subject.arms
        assert trace.name


def test_every_arm_is_in_every_chart_but_penalties(chart: Chart, subject: Subject) -> None:
    found = {trace.meta["arm"] for trace in chart.figure(subject).data if "arm" in trace.meta}
    assert found == set() if chart.one_arm else found >= set(subject.arms)


def test_the_metrics_that_a_chart_reads_are_those_of_its_traces(chart: Chart) -> None:
    metas = [trace.meta for trace in chart.figure(SUBJECTS["plane"]).data]
    read = {meta[key] for meta in metas for key in ("metric", "error") if key in meta}
    read |= {name for meta in metas for key in ("metrics", "errors") for name in meta.get(key, ())}
    assert set(chart.metrics) == read


def test_axes_have_titles(chart: Chart, subject: Subject) -> None:
    found = dict(axes(chart.figure(subject)))
    assert {"xaxis", "yaxis"} <= found.keys()
    for name, axis in found.items():
        # The ladder's rows are named by their ticks.
        assert axis.title.text or (chart.name == "ladder" and name == "yaxis" and axis.ticktext)


def test_charts_of_metrics_span_the_whole_run_from_the_start(subject: Subject) -> None:
    for chart in charts():
        axis = chart.figure(subject).layout.xaxis
        if chart.metrics and not chart.at_step:
            assert (axis.title.text, tuple(axis.range)) == ("step", (0, subject.steps))
        else:
            assert axis.title.text != "step"


def test_headings_say_something(chart: Chart, subject: Subject) -> None:
    assert chart.title
    assert chart.subtitle(subject)


def test_a_skeleton_is_json_and_holds_no_data_yet(chart: Chart, subject: Subject) -> None:
    text = chart.figure(subject).to_json()
    for trace in json.loads(text)["data"]:
        if trace["meta"]["role"] == "examples":
            continue  # the training points are known before any training
        assert not trace.get("x")
        assert not trace.get("y")
        assert "z" not in trace


def test_the_scale_that_a_chart_starts_with_is_that_of_its_value_axes(chart: Chart, subject: Subject) -> None:
    kinds = {axis.type for name, axis in axes(chart.figure(subject)) if name.startswith("y")}
    assert kinds == {{True: "log", False: "linear", None: None}[chart.log]}


def test_an_arm_has_one_colour_one_dash_and_one_marker_everywhere() -> None:
    looks: dict[str, set[tuple[str, str, str]]] = {arm: set() for arm in ARMS}
    penalties = set()
    for chart in charts():
        for trace in chart.figure(SUBJECTS["plane"]).data:
            role, arm = trace.meta["role"], trace.meta.get("arm")
            if role in ("line", "points", "mean"):
                symbol, dash = trace.marker.symbol.removesuffix("-open"), trace.line.dash
                if (
                    dash == "1px,3px"
                ):  # what belongs to an arm without being its curve: penalty, analytic noise
                    penalties.add(trace.meta["metric"])
                    dash = arm_style(arm).dash
                looks[arm].add((trace.marker.color, dash, symbol))
    for arm, look in looks.items():
        style = arm_style(arm)
        assert look == {(style.light, style.dash, style.marker)}
    assert penalties == {"train/penalty", "noise/analytic", "alignment/null"}


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_neighbouring_arms_have_colours_that_can_be_told_apart(mode: Mode) -> None:
    for one, other in combinations(ARMS, 2):
        lab = [lightness_and_hue(arm_style(arm).color(mode)) for arm in (one, other)]
        assert np.linalg.norm(lab[0] - lab[1]) > 15, (one, other)


# What is left of linear red, green and blue in eyes that lack a kind of cones, by Machado, Oliveira and Fernandes (2009).
EYES = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
USUAL = ("none", "dropout", "dropout-8", "dropout-8+mask-noise", "explicit", "implicit", "explicit+implicit")


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("eyes", list(EYES))
def test_the_colours_of_the_usual_arms_can_be_told_apart_by_the_colour_blind(eyes: str, mode: Mode) -> None:
    for one, other in combinations(USUAL, 2):
        lab = [lightness_and_hue(arm_style(arm).color(mode), np.array(EYES[eyes])) for arm in (one, other)]
        assert np.linalg.norm(lab[0] - lab[1]) > 12, (one, other)


def lightness_and_hue(color: str, eyes: np.ndarray | None = None) -> np.ndarray:
    """CIE L*a*b* of ``#rrggbb``: equal distances look about equally different."""
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    linear = linear if eyes is None else np.clip(eyes @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_dash_and_marker_each_tell_the_arms_of_the_menu_apart() -> None:
    styles = [arm_style(arm) for arm in ARMS]
    assert len({style.dash for style in styles}) == len({style.marker for style in styles}) == len(ARMS)


def test_numbers_of_masks_and_steps_seldom_share_a_look() -> None:
    for arms in (
        [f"dropout-{k}" for k in range(2, 33)],
        [f"dropout@{step}:explicit" for step in range(50, 1550, 50)],
    ):
        looks = [(arm_style(arm).dash, arm_style(arm).marker) for arm in arms]
        same = sum(one == other for one, other in combinations(looks, 2))
        assert same / (len(arms) * (len(arms) - 1) / 2) < 0.03


@pytest.mark.parametrize("k", [2, 3, 4, 5, 16, 32, 64])
def test_another_k_looks_different_from_k_8(k: int) -> None:
    for ending in ("", "+mask-noise", "+analytic-noise"):
        one, other = arm_style(f"dropout-{k}{ending}"), arm_style(f"dropout-8{ending}")
        assert (one.dash, one.marker) != (other.dash, other.marker)


def test_dashes_are_such_as_plotly_and_svg_know() -> None:
    for arm in (*ARMS, "dropout-2", "dropout-32", "anything"):
        dash = arm_style(arm).dash
        assert dash in PLAIN_DASHES or re.fullmatch(r"\d+px(,\d+px)+", dash)


def test_a_chart_looks_the_same_whatever_else_is_compared(chart: Chart) -> None:
    alone = chart.figure(Subject.of(preset("noisy-digits").with_settings(['arms=["explicit"]', "seeds=3"])))
    for trace in chart.figure(SUBJECTS["plane"]).data:
        if trace.meta.get("arm") == "explicit" and trace.meta["role"] in ("line", "mean", "points"):
            twin = trace_of(alone, **{k: v for k, v in trace.meta.items() if k in ("arm", "metric", "role")})
            assert (trace.marker.color, trace.line.dash) == (twin.marker.color, twin.line.dash)


def test_only_planar_data_has_boundaries(subject: Subject) -> None:
    shown = {chart.name for chart in charts() if chart.shown(subject)}
    for name in ("boundary", "boundary-at-step"):
        assert (name in shown) == (subject.extent is not None)
    assert {"ladder", "loss", "validation-loss", "curvature"} <= shown


def test_each_task_has_the_charts_of_its_own_score() -> None:
    scores = {"accuracy", "perplexity", "bits-per-character"}
    for name, wanted in (
        ("digits", {"accuracy"}),
        ("words", {"perplexity"}),
        ("characters", {"bits-per-character"}),
        ("numbers", set()),
    ):
        assert {chart.name for chart in charts() if chart.shown(SUBJECTS[name])} & scores == wanted


def test_only_runs_that_clip_show_how_often() -> None:
    for setting, shown in (("train.clip=0", False), ("train.clip=0.25", True)):
        assert named("clipping").shown(Subject.of(preset("classroom").with_settings([setting]))) == shown


def test_a_band_says_what_it_is_of() -> None:
    bands = {name: subject.band for name, subject in SUBJECTS.items()}
    assert bands["digits"] == "95 % t interval, 8 seeds"
    assert (bands["one seed"], bands["one arm"]) == ("1 seed: anecdote", "2 seeds: anecdote")


def test_a_ladder_of_an_anecdote_does_not_speak_of_an_interval() -> None:
    for name in ("one seed", "one arm"):
        assert "interval" not in named("ladder").subtitle(SUBJECTS[name])


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_template_is_one_that_plotly_takes_and_lets_the_page_shine_through(mode: Mode) -> None:
    layout = go.layout.Template(template(mode)).layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.font.size >= 14
    json.dumps(template(mode))


def test_ink_is_dark_on_light_and_light_on_dark() -> None:
    light, dark = (
        lightness_and_hue(template(mode)["layout"]["font"]["color"])[0] for mode in ("light", "dark")
    )
    assert light < 20
    assert dark > 80


def test_a_known_number_is_one_thin_labelled_line_from_end_to_end() -> None:
    for name in ("accuracy", "validation-loss", "perplexity", "bits-per-character"):
        lines = [t for t in named(name).figure(SUBJECTS["words"]).data if t.meta["role"] == "reference"]
        assert lines
        for line in lines:
            assert list(filter(None, line.text)) == [line.name]
            assert list(line.meta["span"]) == [0, 99]
            assert line.line.width < 2
            ending = "left" if line.text[1] else "right"  # the label stays inside of the axes
            assert line.textposition.endswith(ending)


def test_a_perplexity_never_stands_without_its_vocabulary() -> None:
    assert "2,000 words, lower case" in named("perplexity").subtitle(SUBJECTS["words"])
    assert "65 characters" in named("bits-per-character").subtitle(SUBJECTS["characters"])


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("digits", "validation accuracy"),
        ("words", "validation loss in nats a word (lower is better)"),
        ("characters", "validation loss in nats a character (lower is better)"),
        ("numbers", "validation loss (lower is better)"),
    ],
)
def test_the_ladder_speaks_of_the_score_of_the_task(name: str, title: str) -> None:
    figure = named("ladder").figure(SUBJECTS[name])
    assert figure.layout.xaxis.title.text == title
    assert (figure.layout.xaxis.tickformat == ".0%") == (name == "digits")
    label = trace_of(figure, role="effect-label", effect="implicit")
    assert label.textposition == ("middle right" if name == "digits" else "middle left")


def test_an_estimated_regularizer_shows_its_standard_error() -> None:
    figure = named("regularizer").figure(SUBJECTS["words"])
    for arm in ARMS:
        curve = trace_of(figure, role="line", arm=arm)
        assert curve.meta["error"] == "term/explicit_se"
        assert curve.error_y.thickness
    assert "± s.e. where it is estimated" in named("regularizer").subtitle(SUBJECTS["words"])


# Decision boundaries.


def test_each_boundary_shows_the_training_points_of_its_own_picture_by_class() -> None:
    figure = named("boundary").figure(SUBJECTS["plane"])
    surfaces = [trace for trace in figure.data if trace.meta["role"] == "surface"]
    for surface in surfaces:
        shown = [t for t in figure.data if t.meta["role"] == "examples" and t.xaxis == surface.xaxis]
        assert [trace.yaxis for trace in shown] == [surface.yaxis] * 2
        assert [(trace.x, trace.y) for trace in shown] == [((0.0, 2.0), (-1.0, -0.5)), ((1.0,), (-1.5,))]
        assert len({trace.marker.symbol for trace in shown}) == 2


def test_the_training_points_are_those_of_the_first_seed() -> None:
    spec = preset("noisy-digits").with_settings(["data=two-moons", "first_seed=3"])
    splits, subject = spec.data.load(3), Subject.of(spec)
    assert [label for *_, label in subject.examples] == splits.y_train.tolist()
    np.testing.assert_allclose([[x, y] for x, y, _ in subject.examples], splits.x_train, atol=1e-3)
    assert Subject.of(preset("noisy-digits")).examples == ()


def test_each_boundary_has_its_own_axes_that_do_not_overlap() -> None:
    figure = named("boundary").figure(SUBJECTS["plane"])
    boxes = [
        (
            *figure.layout[t.xaxis.replace("x", "xaxis")].domain,
            *figure.layout[t.yaxis.replace("y", "yaxis")].domain,
        )
        for t in figure.data
        if t.meta["role"] == "surface"
    ]
    for (l1, r1, b1, t1), (l2, r2, b2, t2) in combinations(boxes, 2):
        assert r1 <= l2 or r2 <= l1 or t1 <= b2 or t2 <= b1
    assert all(0 <= value <= 1 for box in boxes for value in box)
    assert [note.text for note in figure.layout.annotations] == list(ARMS)
