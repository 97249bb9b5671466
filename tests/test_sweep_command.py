"""``dropviz sweep`` as a person runs it: a table of cells, and only what is new is computed when it is widened."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from dropviz.commands.sweep import asked_sweep
from dropviz.experiment import SpecError
from dropviz.store import Store
from tests.test_cli import environment, run

__all__ = ["environment"]
TINY = ("sweep", "classroom", "--arms", "none,dropout", "--seeds", "3", "--set", "train.steps=20")
TINY += ("--set", "observe.evaluations=1", "--vary", "model.widths=[4],[8, 8]")


def test_a_sweep_writes_its_cells_and_is_widened_for_the_price_of_what_is_new(
    environment: dict[str, str], tmp_path: Path
) -> None:
    code, said, err = run(environment, *TINY, "--vary", "p=0.1,0.5", "--out", str(tmp_path / "first"))
    assert code == 0, err
    assert "model.widths = 8 × 8, p = 0.5: " in said
    cells = pd.read_parquet(tmp_path / "first" / "cells.parquet")
    values = pd.read_parquet(tmp_path / "first" / "values.parquet")
    table = json.loads((tmp_path / "first" / "sweep.json").read_text())
    gains = cells[cells["measure"] == "gain"]
    assert list(zip(gains["model.widths"], gains["p"], strict=True)) == [
        ("4", 0.1),
        ("4", 0.5),
        ("8 × 8", 0.1),
        ("8 × 8", 0.5),
    ]
    assert set(gains["n"]) == {3}
    scores = values[
        (values["metric"] == "test/accuracy") & (values["model.widths"] == "4") & (values["p"] == 0.1)
    ]
    by_arm = scores.pivot(index="seed", columns="arm", values="value")
    assert gains["estimate"].iloc[0] == pytest.approx((by_arm["dropout"] - by_arm["none"]).mean())
    assert [cell["values"] for cell in table["cells"]][1] == {"model.widths": [4], "p": 0.5}
    store = Store.open(Path(environment["DROPVIZ_DATA"]) / "dropviz.db")
    assert jobs(store) == 8
    code, said, err = run(environment, *TINY, "--vary", "p=0.1,0.5,0.9", "--out", str(tmp_path / "second"))
    assert code == 0, err
    assert jobs(store) == 12
    store.close()
    again = pd.read_parquet(tmp_path / "second" / "values.parquet")
    assert set(again["p"]) == {0.1, 0.5, 0.9}
    kept = again[again["p"] != 0.9].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, values)


def jobs(store: Store) -> int:
    with store.database.read() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((None, [], None, []), "No sweep is given: name a preset and a knob"),
        (("classroom", [], None, []), "No sweep is given"),
        (("nope", ["p=0.1"], None, []), "'nope' is not a preset"),
        (("classroom", ["p=0.1"], "2-more-data", []), "brings a preset and knobs of its own"),
        (("classroom", ["p=0.1", "width=8", "depth=1"], None, []), "give at most 2"),
        (("classroom", ["p=0.1"], None, ["seeds=1000"]), "The cell at p = 0.1 cannot be run. This asks for"),
    ],
)
def test_what_is_no_sweep_is_refused_in_a_sentence(arguments: tuple, says: str) -> None:
    with pytest.raises(SpecError) as refusal:
        asked_sweep(*arguments)
    assert says in str(refusal.value)


def test_a_question_takes_settings() -> None:
    asked = asked_sweep(None, [], "2-more-data", ["seeds=3"])
    assert (asked.base.seeds, asked.shape) == (3, (6,))
