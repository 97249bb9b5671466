"""The results that come with the program: what they say follows from the numbers in them, and there is one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropviz.replication import RECORDED, Outcome, outcome, recorded, row, rows

ROOT = Path(__file__).resolve().parents[2]


def test_there_is_one_file_of_recorded_results() -> None:
    assert (ROOT / "benchmarks" / "replication" / "results.json").resolve() == RECORDED.resolve()


def test_every_row_has_a_recorded_result() -> None:
    assert set(recorded()) == {one.key for one in rows()}
    assert {found.scale for found in recorded().values()} == {"small"}


@pytest.mark.parametrize("key", [one.key for one in rows()])
def test_a_recorded_verdict_follows_from_its_numbers(key: str) -> None:
    found = recorded()[key]
    judged = again(key, found)
    assert (judged.verdict, judged.summary) == (found.verdict, found.summary)
    assert verdicts(judged) == verdicts(found)
    assert found.versions["code"]
    for setting in found.settings.values():
        for label, arm in setting.arms.items():
            assert arm.n >= 5, label


def verdicts(found: Outcome) -> list[object]:
    """What is judged of it, without the wording, which may change."""
    claims = [claim for setting in found.settings.values() for claim in setting.claims]
    return [(claim.verdict, claim.interval, claim.n, claim.unit) for claim in claims]


def again(key: str, found: Outcome) -> Outcome:
    """The row judged anew, by the rules of today, from the values that were recorded."""
    values: dict[str, dict[str, dict[int, float]]] = {}
    for case in row(key).cases("small"):
        for label, arm in found.settings[case.name].arms.items():
            part, _, name = label.rpartition(": ")
            numbers = {seed: value for seed, value in arm.values.items() if value is not None}
            values.setdefault(case.settings[part].name, {})[name] = numbers
    return outcome(row(key), "small", values, found.versions)
