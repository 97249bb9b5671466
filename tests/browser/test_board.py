"""What the board draws is what the store holds: every kind of trace against numbers worked out here."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from scipy import stats

from dropviz.experiment import preset
from dropviz.store import Store
from tests.browser.served import Served

ARMS = ("none", "dropout", "dropout-8")
SETTINGS = [
    f"arms={list(ARMS)}",
    "seeds=3",
    "train.steps=60",
    "model.widths=[16]",
    "data=two-moons",
]
SETTINGS += ["observe.evaluations=6", "observe.statistics=3"]

Values = dict[int, np.ndarray]  # step → a value a seed


@pytest.fixture(scope="module")
def view_id(served: Served) -> str:
    """An experiment that has ended, trained by the server's own engine."""
    found = served.store.submit(preset("classroom").with_settings(SETTINGS))
    served.wait_until(lambda: served.store.experiment(found).state == "done", "the experiment is done")
    return found


@pytest.fixture(scope="module")
def tab(chromium: Browser, served: Served, view_id: str) -> Iterator[Page]:
    """The board of that experiment."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.goto(f"{served.url}/lab?run={view_id}")
    expect(page.locator(".dropviz[data-page]")).to_have_attribute("data-state", "done")
    expect(page.locator("[data-chart=curvature] .dv-plot .main-svg").first).to_be_attached()
    yield page
    context.close()


def stored(store: Store, view_id: str, arm: str, metric: str) -> Values:
    """The points of an arm, straight from the store."""
    (job,) = [job for job in store.experiment(view_id).jobs if job.arm == arm]
    return {point.step: point.values for point in store.points(job.id) if point.name == metric}


def interval(values: np.ndarray) -> tuple[float, float]:
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return values.mean() - half, values.mean() + half


def traces(page: Page, chart: str, role: str, **wanted: str) -> list[dict[str, Any]]:
    """Traces of a chart as plotly has them."""
    script = """chart => document.querySelector(`[data-chart="${chart}"] .dv-plot`).data.map(
        ({meta, x, y, z, error_x, error_y, opacity, visible}) => ({meta, x, y, z, error_x, error_y, opacity, visible}))"""
    found = [trace for trace in page.evaluate(script, chart) if trace["meta"]["role"] == role]
    return [trace for trace in found if all(trace["meta"].get(key) == value for key, value in wanted.items())]


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize(
    ("chart", "metric"), [("validation-loss", "validation/loss"), ("regularizer", "term/explicit")]
)
def test_a_line_is_the_mean_over_seeds_and_its_band_the_t_interval(
    tab: Page, served: Served, view_id: str, chart: str, metric: str, arm: str
) -> None:
    values = stored(served.store, view_id, arm, metric)
    (line,) = traces(tab, chart, "line", arm=arm, metric=metric)
    assert line["x"] == list(values)
    np.testing.assert_allclose(line["y"], [one.mean() for one in values.values()], rtol=1e-5)
    (band,) = traces(tab, chart, "band", arm=arm, metric=metric)
    assert band["x"] == [*values, *reversed(values)]
    lower, upper = zip(*map(interval, values.values()), strict=True)
    if chart == "regularizer":  # its scale is logarithmic, where a band reaches down a decade at most
        lower = np.maximum(lower, [one.mean() / 10 for one in values.values()])
    np.testing.assert_allclose(band["y"], [*upper, *reversed(lower)], rtol=1e-4)


def test_monte_carlo_points_have_the_standard_error_of_the_mean_over_seeds(
    tab: Page, served: Served, view_id: str
) -> None:
    errors = stored(served.store, view_id, "dropout", "regularizer/monte_carlo_se")
    (points,) = traces(tab, "regularizer", "points", arm="dropout")
    assert points["x"] == list(errors)
    expected = [np.sqrt((one**2).sum()) / len(one) for one in errors.values()]
    np.testing.assert_allclose(points["error_y"]["array"], expected, rtol=1e-5)


def test_the_ladder_has_the_test_accuracies_of_all_seeds_with_mean_and_interval(
    tab: Page, served: Served, view_id: str
) -> None:
    for row, arm in enumerate(("none", "dropout-8", "dropout")):
        (values,) = stored(served.store, view_id, arm, "test/accuracy").values()
        (seeds,) = traces(tab, "ladder", "seeds", arm=arm)
        np.testing.assert_allclose(seeds["x"], values, rtol=1e-5)
        assert seeds["y"] == [row] * 3
        (mean,) = traces(tab, "ladder", "mean", arm=arm)
        lower, upper = interval(values)
        np.testing.assert_allclose(mean["x"], [values.mean()], rtol=1e-5)
        np.testing.assert_allclose(mean["error_x"]["array"], [upper - values.mean()], rtol=1e-3)
        np.testing.assert_allclose(mean["error_x"]["arrayminus"], [values.mean() - lower], rtol=1e-3)
        assert mean["opacity"] == 1
    title = "document.querySelector('[data-chart=ladder] .dv-plot').layout.xaxis.title.text"
    assert tab.evaluate(title) == "test accuracy"


def test_a_boundary_is_the_newest_stored_surface(tab: Page, served: Served, view_id: str) -> None:
    (job,) = [job for job in served.store.experiment(view_id).jobs if job.arm == "dropout"]
    newest = served.store.snapshot(job.id, "surface")
    assert newest is not None
    assert newest.step == 60
    (surface,) = traces(tab, "boundary", "surface", arm="dropout")
    np.testing.assert_array_equal(np.array(surface["z"]), newest.array)


def test_a_surface_travels_as_base64_of_its_bytes(served: Served, view_id: str, tab: Page) -> None:
    payload = tab.evaluate("view => fetch(`/live/${view}?cursor=`).then(answer => answer.json())", view_id)
    found = payload["surfaces"]["none"]
    assert len(base64.b64decode(found["data"])) == found["width"] * found["height"]


def test_the_example_shades_the_effects_between_the_means(page: Page, served: Served) -> None:
    page.goto(served.url)
    expect(page.locator(".dv-headline")).to_contain_text("Here dropout gains")
    means = {trace["meta"]["arm"]: trace["x"][0] for trace in traces(page, "ladder", "mean")}
    (explicit,) = traces(page, "ladder", "effect", effect="explicit")
    (implicit,) = traces(page, "ladder", "effect", effect="implicit")
    assert (min(explicit["x"]), max(explicit["x"])) == (means["none"], means["dropout-8"])
    assert (min(implicit["x"]), max(implicit["x"])) == (means["dropout-8"], means["dropout"])
