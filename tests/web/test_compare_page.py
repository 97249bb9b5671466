"""The Compare page against a store: what is compared, what is refused, and that text stays text."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from dropviz.analysis import mean_interval
from dropviz.export import archive
from dropviz.store import Store, schema
from dropviz.web.compare.runs import MOST_RUNS
from tests.web.looking import carry, figures, texts

OTHER = "f" * 32


def titles(app: AppTest) -> list[str]:
    return [shown["title"] for shown in figures(app)]


def warned(app: AppTest) -> str:
    return "\n".join(one.value.replace("\\", "") for one in app.warning)


def trained(store: Store, engine: Any, spec: Any, owner: str, *changes: str) -> str:
    view_id = store.submit(spec.with_settings(changes), owner=owner)
    engine.run_all()
    return view_id


def test_without_runs_the_page_says_how_to_begin(visit, results: Path) -> None:
    app = visit("1_Compare")
    assert not app.exception
    assert "Tick runs on the left" in texts(app)
    assert "No runs yet" in texts(app)
    assert figures(app) == []


def test_two_runs_are_compared_seed_by_seed(visit, store: Store, engine, spec, me: str) -> None:
    first = trained(store, engine, spec, me)
    second = trained(store, engine, spec, me, "p=0.2")
    app = visit("1_Compare", runs=f"{first},{second}")
    assert not app.exception
    assert titles(app) == ["Difference to 1 · dropout", "Validation accuracy"]
    assert app.selectbox(key="reference").value == "1 · dropout"
    table = app.table[0].value
    assert table["compared"].tolist() == ["reference", *["paired"] * 5]
    finals = store.finals(first)
    pairs = [finals["none"]["test/accuracy"][s] - finals["dropout"]["test/accuracy"][s] for s in (0, 1, 2)]
    expected = mean_interval(pairs)
    assert f"{100 * expected.estimate:.1f}".replace("-", "−") in table["difference, points"][1].replace(
        "\\", ""
    )
    assert warned(app) == ""
    assert texts(app).count("Here dropout gains") == 2


def test_the_reference_of_the_url_is_subtracted(visit, store: Store, engine, spec, me: str) -> None:
    first = trained(store, engine, spec, me)
    app = visit("1_Compare", runs=first, reference="none")
    assert not app.exception
    assert app.selectbox(key="reference").value == "none"
    assert app.table[0].value["compared"].tolist()[0] == "reference"


def test_what_does_not_pair_is_said_with_the_setting(visit, store: Store, engine, spec, me: str) -> None:
    first = trained(store, engine, spec, me)
    second = trained(store, engine, spec, me, "train.batch_size=8")
    app = visit("1_Compare", runs=f"{first},{second}")
    assert "Run 2 does not pair with run 1: train.batch_size is 16 and 8" in warned(app)
    assert app.table[0].value["compared"].tolist()[3:] == ["unpaired"] * 3


def test_runs_of_several_versions_of_the_program_are_told_apart(
    visit, store: Store, engine, spec, me: str
) -> None:
    views = [trained(store, engine, spec, me, f"first_seed={seed}") for seed in (0, 10, 20)]
    views.append(trained(store, engine, spec, me, "first_seed=30"))
    jobs = [job.id for view_id in (views[1], views[3]) for job in store.experiment(view_id).jobs]
    former = schema.results.c.job_id.in_(jobs)
    with store.database.write() as connection:
        connection.execute(update(schema.results).where(former).values(key="former " + schema.results.c.key))
    said = warned(visit("1_Compare", runs=",".join(views[:3])))
    assert (
        "runs 1, 3; run 2 by an earlier one that is not known. Equal seeds may have drawn otherwise" in said
    )
    said = warned(visit("1_Compare", runs=f"{views[1]},{views[3]}"))
    assert (
        "An earlier version of the program or its packages computed runs 1, 2, and whether the same" in said
    )
    for alone in (views[1], f"{views[0]},{views[2]}"):
        assert "versions of the program" not in warned(visit("1_Compare", runs=alone))


def test_an_imported_run_is_of_the_version_that_computed_it(
    visit, store: Store, engine, spec, me: str
) -> None:
    first = trained(store, engine, spec, me)
    content = io.BytesIO()
    archive.write_zip(content, archive.members(store, store.experiment(first)))
    opened = archive.opened(content.getvalue())
    same = store.keep_import(opened, owner=me)
    other = store.keep_import(replace(opened, provenance=opened.provenance | {"code": "other"}), owner=me)
    assert "versions of the program" not in warned(visit("1_Compare", runs=f"{first},{same}"))
    assert "runs 1, 2; run 3. Equal" in warned(visit("1_Compare", runs=f"{first},{same},{other}"))


def test_scores_of_other_kinds_are_refused_plainly(visit, store: Store, engine, spec, me: str) -> None:
    first = trained(store, engine, spec, me)
    second = store.submit(spec.with_settings(["data.name=diabetes"]), owner=me)
    app = visit("1_Compare", runs=f"{first},{second}")
    assert not app.exception
    assert "Run 2 cannot be compared with run 1: digits is scored by accuracy" in warned(app)


def test_a_pool_of_two_runs_says_what_it_used(visit, store: Store, engine, spec, me: str) -> None:
    first = trained(store, engine, spec, me, 'arms=["none"]')
    second = trained(store, engine, spec, me, 'arms=["dropout"]')
    found = texts(visit("1_Compare", runs=f"{first},{second}")).replace("\\", "")
    assert "Used: none from run 1 (3 seeds); dropout from run 2 (3 seeds)." in found


def test_what_cannot_be_pooled_is_refused_plainly(visit, store: Store, engine, spec, me: str) -> None:
    first = trained(store, engine, spec, me, 'arms=["none"]')
    second = trained(store, engine, spec, me, 'arms=["dropout"]', "train.steps=80")
    app = visit("1_Compare", runs=f"{first},{second}")
    (refusal,) = (one.value.replace("\\", "") for one in app.info)
    assert "none of run 1 and dropout of run 2 do not fit together: train.steps is 40 and 80." in refusal


def test_settings_that_differ_stand_out_and_the_rest_is_folded(
    visit, store: Store, engine, spec, me: str
) -> None:
    first = trained(store, engine, spec, me)
    second = trained(store, engine, spec, me, "p=0.2")
    tables = [table.value for table in visit("1_Compare", runs=f"{first},{second}").table]
    (differs,) = (table for table in tables if "setting" in table and len(table.columns) == 3)
    assert differs.values.tolist() == [["p", ".5", "**.2**"]]


def test_others_runs_are_seen_by_their_id_and_unknown_ones_are_said(
    visit, store: Store, engine, spec, me: str
) -> None:
    theirs = trained(store, engine, spec, OTHER)
    app = visit("1_Compare", runs=f"{theirs},{'0' * 32},![x](y)")
    assert not app.exception
    assert "**1** · digits" in texts(app)
    assert f"There is no experiment '{'0' * 32}'" in warned(app)
    assert all("![x](y)" not in one.value for one in (*app.markdown, *app.warning))


def test_a_link_with_too_many_runs_says_so(visit, store: Store, spec, me: str) -> None:
    ids = [store.submit(spec, owner=me)] + [f"{place:032x}" for place in range(1, MOST_RUNS + 5)]
    app = visit("1_Compare", runs=",".join(ids))
    assert not app.exception
    assert f"names more than {MOST_RUNS} runs" in warned(app)


def test_a_run_under_way_is_shown_as_far_as_it_is(visit, store: Store, engine, spec, me: str) -> None:
    view_id = store.submit(spec, owner=me)
    app = visit("1_Compare", runs=view_id)
    assert not app.exception
    assert "No run has a point yet." in texts(app)
    engine.train(engine.start(), [0, 10])
    app = visit("1_Compare", runs=view_id)
    assert not app.exception
    assert titles(app) == ["Validation accuracy"]
    assert "There is no test score to compare yet" in texts(app)


def test_a_failed_arm_is_a_marked_stop(visit, store: Store, engine, spec, me: str) -> None:
    view_id = store.submit(spec.with_settings(['arms=["none"]']), owner=me)
    claim = engine.start()
    engine.train(claim, [0, 10])
    engine.finish(claim, "failed", error="It diverged.")
    app = visit("1_Compare", runs=view_id)
    assert not app.exception
    assert "✕ stopped" in figures(app)[0]["figure"].encode().decode("unicode_escape")


def test_the_carried_examples_can_be_compared(
    visit, results: Path, store: Store, engine, spec, me: str
) -> None:
    for name in ("classroom", "noisy-digits"):
        carry(results, store, engine, spec, name)
    app = visit("1_Compare")
    app.button(key="compare-examples").click().run()
    assert not app.exception
    assert titles(app) == ["Difference to 1 · dropout", "Validation accuracy"]
    assert "Here dropout gains" in texts(app)


def test_measured_seconds_make_an_equal_cost(visit, store: Store, spec, engine, me: str) -> None:
    view_id = store.submit(spec, owner=me)
    price = {"none": 1.0, "dropout": 1.0, "dropout-8": 8.0}
    while store.has_queued():
        claim = engine.start()
        engine.train(claim)
        store.append(claim.job_id, claim.attempt, seconds={"training": price[claim.arm]})
        engine.finish(claim)
    app = visit("1_Compare", runs=view_id)
    assert titles(app)[-1] == "Validation accuracy against cost"
    table = next(one.value for one in app.table if "steps until then" in one.value)
    assert table["steps until then"].tolist() == ["40 of 40", "40 of 40", "5 of 40"]
    app = visit("1_Compare", runs=view_id, unit="Gradients")
    assert titles(app)[-1] == "Validation accuracy against cost"


@pytest.mark.parametrize("metric", ["validation/loss", "train/objective"])
def test_another_metric_is_drawn(visit, store: Store, engine, spec, me: str, metric: str) -> None:
    view_id = trained(store, engine, spec, me)
    app = visit("1_Compare", runs=view_id)
    app.selectbox(key="metric").select(metric).run()
    assert not app.exception
    assert metric.replace("/", " ").capitalize() in titles(app)


def test_choices_that_no_longer_fit_fall_back_when_runs_change(
    visit, store: Store, engine, spec, me: str
) -> None:
    first = trained(store, engine, spec, me)
    second = trained(store, engine, spec, me, 'arms=["none", "l2"]')
    app = visit("1_Compare", runs=first, reference="dropout-8", metric="train objective", arms="dropout-8")
    assert not app.exception
    assert app.multiselect(key="arms").value == ["dropout-8"]
    app.checkbox(key=f"choose/{second}").check().run()
    assert not app.exception
    assert app.selectbox(key="reference").value in ("1 · dropout-8", "dropout-8")
    app.checkbox(key=f"choose/{first}").uncheck().run()
    assert not app.exception
    app = visit("1_Compare", runs=second, reference="9 · gone", metric="gone", arms="gone", along="gone")
    assert not app.exception
    assert figures(app)
