"""Arms gathered over runs: what fits together, which results are used, and a plain refusal of the rest."""

from __future__ import annotations

from dropviz.analysis import decompose
from dropviz.analysis.headline import headline
from dropviz.analysis.pooling import Entry, Pool, pools, refusal
from dropviz.experiment import preset

SPEC = preset("noisy-digits")


def entry(run: int, arms: dict[str, range], *changes: str, level: float = 0.0) -> Entry:
    scores = {
        arm: {seed: level + 0.1 * len(arm) + 0.001 * ((7 * seed) % 5) for seed in seeds}
        for arm, seeds in arms.items()
    }
    spec = SPEC.with_settings([f"arms={list(arms)}", *changes])
    return Entry(run=run, spec=spec, scores=scores)


def only(found: list[Pool]) -> Pool:
    (pool,) = found
    return pool


def test_none_of_one_run_and_dropout_of_another_make_a_sentence() -> None:
    pool = only(pools([entry(1, {"none": range(4)}), entry(2, {"dropout": range(4)})]))
    assert pool.sources == {"none": {1: 4}, "dropout": {2: 4}}
    found = decompose(pool.scores, "test/accuracy")
    assert found.n == 4
    assert headline(found, pool.spec).text.startswith("Here dropout gains 30.0")


def test_runs_of_other_seeds_add_theirs_and_equal_seeds_count_once() -> None:
    arms = {"none": range(4), "dropout": range(4)}
    more = {"none": range(2, 8), "dropout": range(2, 8)}
    pool = only(pools([entry(1, arms), entry(2, more, "observe.evaluations=5", level=9.0)]))
    assert pool.sources["none"] == {1: 4, 2: 4}
    assert sorted(pool.scores["dropout"]) == list(range(8))
    assert pool.scores["none"][2] == entry(1, arms).scores["none"][2]
    assert pool.runs == [1, 2]


def test_none_serves_every_drop_probability() -> None:
    found = pools(
        [
            entry(1, {"none": range(3), "dropout": range(3)}),
            entry(2, {"dropout": range(3)}, "p=0.2"),
            entry(3, {"dropout-8": range(3)}, "p=0.2"),
        ]
    )
    assert [pool.spec.p for pool in found] == [0.5, 0.2]
    assert found[1].sources == {"none": {1: 3}, "dropout": {2: 3}, "dropout-8": {3: 3}}
    assert found[0].scores.keys() == {"none", "dropout"}


def test_a_runs_own_none_comes_before_that_of_another() -> None:
    arms = {"none": range(3), "dropout": range(3)}
    found = pools([entry(1, arms), entry(2, {"none": range(2), "dropout": range(3)}, "p=0.2")])
    assert found[1].sources["none"] == {2: 2, 1: 1}


def test_formulas_of_other_choices_are_another_arm_and_are_left_out() -> None:
    arms = {"none": range(3), "dropout": range(3), "explicit+implicit": range(3)}
    pool = only(
        pools([entry(1, arms), entry(2, {"explicit+implicit": range(3, 6)}, "surrogate.explicit=2.0")])
    )
    assert pool.left_out == [("explicit+implicit", 2)]
    assert sorted(pool.scores["explicit+implicit"]) == [0, 1, 2]


def test_runs_that_train_otherwise_are_refused_with_the_setting() -> None:
    entries = [entry(1, {"none": range(3)}), entry(2, {"dropout": range(3)}, "train.steps=500")]
    assert pools(entries) == []
    assert refusal(entries) == (
        "none of run 1 and dropout of run 2 do not fit together: train.steps is 1,500 and 500."
        " Choose runs that differ in arms and seeds alone."
    )


def test_a_missing_arm_is_named() -> None:
    assert refusal([entry(1, {"dropout": range(3)})]) == (
        "To take dropout's gain apart, choose a finished run with none."
    )
    assert "with none and dropout" in refusal([entry(1, {"l2": range(3)})])
    assert "with none and dropout" in refusal([])
