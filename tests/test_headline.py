"""The sentence and its note, read aloud for each case."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest

from dropviz.analysis import Decomposition, Interval, MaskNoiseCheck, decompose
from dropviz.analysis.headline import headline as sentence_of
from dropviz.experiment import ExperimentSpec, preset
from tests.test_analysis import ACCURACY, Values, arm, gaining

SPEC = preset("noisy-digits")
SHARE = Interval(estimate=0.81, lower=0.74, upper=0.88)
FORMULAS = Interval(estimate=0.92, lower=0.80, upper=1.04)


def decomposition(gain: Interval, verdict: str, **more: object) -> Decomposition:
    values: dict[str, object] = {"metric": ACCURACY, "k": 8, "n": 8} | more
    return Decomposition(gain=gain, verdict=verdict, **values)  # type: ignore[arg-type]


def gain(estimate: float, half: float | None = None) -> Interval:
    if half is None:
        return Interval(estimate=estimate)
    return Interval(estimate=estimate, lower=estimate - half, upper=estimate + half)


GAINS = decomposition(gain(0.083, 0.006), "dropout gains")


OPENING = "Here dropout gains 8.3 [7.7, 8.9] points of test accuracy."
EXPLAINED = " The explicit effect accounts for 81 % [74, 88] of it, the implicit for the rest"
SENTENCES = [
    (GAINS, OPENING),
    (replace(GAINS, explicit_share=SHARE), f"{OPENING}{EXPLAINED}."),
    (replace(GAINS, faithfulness=FORMULAS), f"{OPENING} The formulas reproduce 92 % [80, 104] of it."),
    (
        replace(GAINS, explicit_share=SHARE, faithfulness=FORMULAS),
        f"{OPENING}{EXPLAINED}; the formulas reproduce 92 % [80, 104] of it.",
    ),
    (
        replace(GAINS, explicit_share=Interval(estimate=1.03, lower=0.98, upper=1.08)),
        f"{OPENING} The explicit effect accounts for 103 % [98, 108] of it, the implicit for none.",
    ),
    (
        decomposition(gain(-0.021, 0.004), "dropout costs"),
        "Here dropout costs 2.1 [1.7, 2.5] points of test accuracy.",
    ),
    (
        decomposition(gain(0.004, 0.014), "no gain to explain"),
        "Here dropout makes no difference to test accuracy that 8 paired seeds can show: 0.4 [−1.0, 1.8] points."
        " There is no gain to explain.",
    ),
    (
        decomposition(gain(0.05), "anecdote", n=1, explicit_share=Interval(estimate=0.5)),
        "Here dropout gains 5.0 points of test accuracy. The explicit effect accounts for 50 % of it, the implicit"
        " for the rest.",
    ),
    (decomposition(gain(-0.05), "anecdote", n=2), "Here dropout costs 5.0 points of test accuracy."),
]


@pytest.mark.parametrize(("found", "sentence"), SENTENCES)
def test_the_sentence_of_each_case(found: Decomposition, sentence: str) -> None:
    assert sentence_of(found, SPEC).text == sentence


def test_the_numbers_are_what_stands_out() -> None:
    parts = sentence_of(replace(GAINS, explicit_share=SHARE, faithfulness=FORMULAS), SPEC).parts
    assert [text for text, strong in parts if strong] == ["8.3 [7.7, 8.9]", "81 % [74, 88]", "92 % [80, 104]"]


def test_an_anecdote_without_any_difference_is_no_cost() -> None:
    """At step 0 all arms are one network, so one seed starts out with exactly this."""
    text = sentence_of(decomposition(gain(0.0), "anecdote", n=1), SPEC).text
    assert "costs" not in text
    assert "−0.0" not in text


def test_a_change_in_loss_is_not_said_to_be_a_gain_or_cost_of_loss() -> None:
    better = {name: {seed: -value for seed, value in found.items()} for name, found in gaining().items()}
    for values in (gaining(), better):
        assert "nats of test loss" not in sentence_of(decompose(values, "test/loss"), SPEC).text


def language_spec(data: dict[str, object]) -> ExperimentSpec:
    return ExperimentSpec.from_table({"data": data, "model": "lstm"})


def losses(none: float, gained: float) -> Values:
    """Losses of which dropout takes off so much, dropout-8 four fifths of it and the formulas nine tenths."""
    shares = {"none": 0.0, "dropout": 1.0, "dropout-8": 0.8, "explicit+implicit": 0.9}
    return {name: arm(none - share * gained, 0.1 * share) for name, share in shares.items()}


EXPLAINS = " The explicit effect accounts for 80 % [80, 80] of it, the implicit for the rest; the formulas reproduce 90 % [90, 90] of it."
WORDS = {"name": "markov", "symbols": 50}
CHARACTERS = {"name": "python-reference", "tokens": "character", "vocabulary": 50}
LOSSES = [
    (
        language_spec(WORDS),
        losses(log(100), 0.1),
        f"Here dropout lowers test loss by 0.100 [0.100, 0.100] nats a symbol (from perplexity 100.0 to 90.5).{EXPLAINS}",
    ),
    (
        language_spec(WORDS),
        losses(log(100), -0.1),
        "Here dropout raises test loss by 0.100 [0.100, 0.100] nats a symbol (from perplexity 100.0 to 110.5).",
    ),
    (
        language_spec(CHARACTERS),
        losses(1.5, 0.1),
        f"Here dropout lowers test loss by 0.100 [0.100, 0.100] nats a character (from 2.164 to 2.020 bits a character).{EXPLAINS}",
    ),
    (
        language_spec(WORDS),
        losses(800.0, 0.1),
        f"Here dropout lowers test loss by 0.100 [0.100, 0.100] nats a symbol (from perplexity 1e+304 to 1e+304).{EXPLAINS}",
    ),
]


@pytest.mark.parametrize(("spec", "values", "sentence"), LOSSES)
def test_a_gain_in_loss_is_said_in_nats_a_token_and_in_perplexities(
    spec: ExperimentSpec, values: Values, sentence: str
) -> None:
    assert sentence_of(decompose(values, "test/loss"), spec).text == sentence


def test_a_difference_in_loss_that_cannot_be_shown_is_that_of_dropout_to_none() -> None:
    values = {"none": arm(3.0), "dropout": arm(3.001, 2.0)}
    found = sentence_of(decompose(values, "test/loss"), language_spec(WORDS)).text
    assert "that 8 paired seeds can show: 0.001 [−0.004, 0.006] nats a symbol." in found


def test_beside_a_perplexity_stand_the_vocabulary_and_the_tokenizer() -> None:
    assert "50 symbols" in sentence_of(decompose(losses(3, 0.1), "test/loss"), language_spec(WORDS)).note
    spec = language_spec({"name": "python-reference"})
    assert "2,000 words: lower-cased words and punctuation marks, others <unk>" in (
        sentence_of(decompose(losses(3, 0.1), "test/loss"), spec).note
    )


def test_the_margin_of_mask_noise_is_in_the_unit_of_the_loss() -> None:
    values = losses(3.0, 0.1) | {"dropout-8+mask-noise": arm(2.9, 0.1)}
    note = sentence_of(decompose(values, "test/loss"), language_spec(WORDS)).note
    assert "mask noise returns dropout-8 to dropout within 0.03 nats a symbol" in note


@pytest.mark.parametrize(
    ("settings", "values", "sentence"),
    [
        (['arms=["dropout"]'], {}, "To see what dropout gains, add the arm none."),
        (['arms=["none", "dropout-8"]'], {}, "To see what dropout gains, add the arm dropout."),
        (['arms=["explicit"]'], {}, "To see what dropout gains, add the arms none and dropout."),
        ([], {}, "No seed has a result in all arms that are compared, so there is no gain to take apart."),
        ([], {"none": {0: 0.6}, "dropout": {1: 0.7}}, "No seed has a result in all arms that are compared"),
    ],
)
def test_what_is_missing_is_named(settings: list[str], values: Values, sentence: str) -> None:
    found = sentence_of(decompose(values, ACCURACY), SPEC.with_settings(settings))
    assert sentence in found.text
    assert found.note == ""


def test_it_is_not_none_and_dropout_that_lack_a_seed_when_dropout_k_does() -> None:
    values = {"none": arm(0.6), "dropout": arm(0.7, 1.0), "dropout-8": {100: 0.68}}
    assert "both none and dropout" not in sentence_of(decompose(values, ACCURACY), SPEC).text


def check(equivalent: bool | None) -> dict[str, object]:
    return {"mask_noise": MaskNoiseCheck(difference=gain(0.0), margin=0.02, equivalent=equivalent)}


NOTES = [
    ({}, [], ""),
    ({}, ["surrogate.explicit=2"], ""),
    ({"explicit_share": SHARE}, [], "explicit share at k = 8, which keeps 1/8 of the noise"),
    (check(True), [], "mask noise returns dropout-8 to dropout within 2 points"),
    (check(False), [], "mask noise is not shown to return dropout-8 to dropout within 2 points"),
    (check(None), [], ""),
    ({"faithfulness": FORMULAS}, [], ""),
    ({"faithfulness": FORMULAS}, ["surrogate.estimator=root-hessian"], "root-hessian estimator"),
    (
        {"faithfulness": FORMULAS},
        ["surrogate.hessian=constant"],
        "output Hessian held constant, as in the paper's code",
    ),
    ({"faithfulness": FORMULAS}, ["surrogate.explicit=2", "surrogate.implicit=0.5"], "λ = 2 · μ = 0.5"),
]


@pytest.mark.parametrize(("more", "settings", "added"), NOTES)
def test_the_note_says_what_has_to_be_known(more: dict[str, object], settings: list[str], added: str) -> None:
    found = sentence_of(replace(GAINS, **more), SPEC.with_settings(settings))  # type: ignore[arg-type]
    assert found.note == "8 paired seeds, 95 % intervals in brackets" + (f" · {added}" if added else "")


@pytest.mark.parametrize(("n", "seeds"), [(1, "1 seed"), (2, "2 paired seeds")])
def test_the_note_calls_an_anecdote_one(n: int, seeds: str) -> None:
    found = sentence_of(decomposition(gain(0.05), "anecdote", n=n), SPEC)
    assert found.note == f"{seeds}: an anecdote, so no interval"
