"""The rows and settings that come with the program, how a claim meets a setting, and verdicts over several."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropviz.analysis.claims import Better, Equivalent, Trend
from dropviz.budget import check_budget
from dropviz.choices import SpecError
from dropviz.replication import SCALES, Outcome, Row, outcome, row, rows, settings_of, shares, work
from dropviz.replication.outcomes import overall, summary

FIGURES = ("fig1", "fig2", "fig3", "fig4", "fig5")
VALUES = {
    "digits": {
        "none": {0: 0.60, 1: 0.61, 2: 0.59},
        "dropout": {0: 0.70, 1: 0.72, 2: 0.70},
        "dropout-2": {0: 0.65, 1: 0.66, 2: 0.65},
    }
}


def test_the_figures_come_first_and_keys_are_what_the_command_takes() -> None:
    keys = [one.key for one in rows()]
    assert tuple(keys[:5]) == FIGURES
    assert len({one.place for one in rows()}) == len(keys)
    assert row("fig3").where == "Figure 3"
    with pytest.raises(SpecError, match="'fig6' is not a row of the paper"):
        row("fig6")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("one", rows(), ids=lambda one: one.key)
def test_every_row_can_be_tested_at_every_scale(one: Row, scale: str) -> None:
    cases = one.cases(scale)
    assert cases
    for case in cases:
        assert case.claims
        for part, setting in case.settings.items():
            spec = setting.spec(case.arms(part))
            assert {"none", "dropout"} <= set(spec.arms)
    assert work(one, scale).operations > 0


def test_the_small_scale_has_five_seeds_or_more_and_keeps_to_a_servers_budget() -> None:
    for name, setting in settings_of("small").items():
        spec = setting.spec(["none", "dropout", f"dropout-{setting.largest_k}+mask-noise", "explicit"])
        assert spec.seeds >= 5, name
        check_budget(spec)
    models = {setting.spec(["none"]).model.name for setting in settings_of("small").values()}
    assert {"mlp", "cnn", "lstm", "transformer"} <= models


def test_all_arms_of_a_setting_fit_into_one_experiment() -> None:
    from dropviz.commands.replicate.running import plan

    for scale in SCALES:
        for spec in plan(rows(), scale).values():
            assert len(spec.arms) <= 16


def test_k_stands_for_the_settings_own(tiny: Path) -> None:
    (case,) = row("masks").cases("small")
    trend, better = case.claims
    assert isinstance(trend, Trend)
    assert trend.along == {"dropout": 1, "dropout-2": 2}
    assert better == Better(a="dropout-2", b="none")
    assert case.arms("") == ("none", "dropout", "dropout-2")


def test_the_margin_is_that_of_the_score(tiny: Path) -> None:
    table = row("masks").to_table() | {"claims": [{"kind": "equivalent", "a": "dropout-K", "b": "dropout"}]}
    claim = Row.from_table(table).cases("small")[0].claims[0]
    assert claim == Equivalent(a="dropout-2", b="dropout", margin=0.02)


def test_a_comparison_of_settings_names_its_parts(tiny: Path) -> None:
    (case,) = row("data").cases("small")
    assert (case.arms("few"), case.arms("many")) == (("none", "dropout", "dropout-2"),) * 2
    assert row("data").cases("full") == []


def test_a_claim_that_is_none_is_refused(tiny: Path) -> None:
    with pytest.raises(SpecError, match="'wurse' is not a kind of claim"):
        Row.from_table(row("masks").to_table() | {"claims": [{"kind": "wurse"}]})


def test_a_row_is_judged_on_its_values(tiny: Path) -> None:
    found = outcome(row("masks"), "small", VALUES, {"code": "x"})
    assert (found.verdict, found.word, found.summary) == ("green", "holds", "2 of 2 tests hold.")
    setting = found.settings["digits"]
    assert (setting.metric, setting.arms["none"].n) == ("test/accuracy", 3)
    assert setting.arms["none"].mean == pytest.approx(0.6)
    assert setting.claims[1].sentence.startswith(
        "Dropout-2 is better than none: test accuracy is higher by 5.3"
    )
    assert Outcome.from_table(found.to_table()) == found


def test_what_did_not_run_is_said(tiny: Path) -> None:
    lacking = {"digits": {arm: VALUES["digits"][arm] for arm in ("none", "dropout")}}
    found = outcome(row("masks"), "small", lacking, {})
    assert [claim.word for claim in found.settings["digits"].claims] == ["not run", "not run"]
    assert found.settings["digits"].claims[1].sentence == "No results of dropout-2."
    assert (found.verdict, found.summary) == (None, "Not run at this scale.")


def test_values_that_diverged_are_kept_as_no_number(tiny: Path) -> None:
    diverged = {"digits": VALUES["digits"] | {"dropout-2": {0: float("inf"), 1: 0.6, 2: 0.6}}}
    found = outcome(row("masks"), "small", diverged, {})
    assert found.verdict == "amber"
    assert found.settings["digits"].arms["dropout-2"].values == {0: None, 1: 0.6, 2: 0.6}
    assert Outcome.from_table(found.to_table()) == found


def test_shares_are_of_dropouts_gain(tiny: Path) -> None:
    found = shares(outcome(row("masks"), "small", VALUES, {}).settings["digits"])[""]
    assert found["none"].estimate == 0
    assert found["dropout"].estimate == pytest.approx(1)
    assert found["dropout-2"].estimate == pytest.approx(0.16 / 0.32)
    none = {"digits": VALUES["digits"] | {"dropout": VALUES["digits"]["none"]}}
    assert shares(outcome(row("masks"), "small", none, {}).settings["digits"]) == {"": {}}


def test_one_red_is_red_and_one_amber_is_not_green() -> None:
    assert overall(["green", "amber", "red"]) == "red"
    assert overall(["green", "amber"]) == "amber"
    assert overall(["green", None]) == "amber"  # what has not run may not hold
    assert overall([None]) is None
    assert (
        summary(["green", "amber", "red", None])
        == "1 of 4 tests hold, 1 undecided, 1 against the claim, 1 not run."
    )
