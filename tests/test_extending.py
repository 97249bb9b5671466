"""The documented example of an extension: listed, checked, trained by a real engine, and offered in the page."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from dropviz import contracts
from dropviz.datasets.dataset import Splits
from dropviz.datasets.two_moons import TwoMoons
from dropviz.models.linear import Linear
from dropviz.task import Task, classification
from tests.extending import EXAMPLE, ROOT, process, told

PAGES = """
import json
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest
from dropviz.web import component
from dropviz.web.visitor import COOKIE

ContextProxy.cookies = property(lambda context: {COOKIE: "0123456789abcdef" * 2})

def visit(page, **query):
    component.component.cache_clear()
    app = AppTest.from_file(f"ROOT/pages/{page}.py", default_timeout=120)
    for name, text in query.items():
        app.query_params[name] = text
    return app.run()

lab = visit("0_Lab")
menus = {one.label: one for one in lab.selectbox}
menus["Data set"].set_value("checkerboard").run()
lab.selectbox(key=menus["Model"].key).set_value("cosine").run()
offered = {one.label: list(one.options) for one in [*lab.selectbox, *lab.multiselect]}
numbers = [one.label for one in lab.number_input]
(run,) = (button for button in lab.button if button.label == "Run")
run.click().run()
boards = [json.loads(one.proto.json) for one in lab.get("bidi_component")]
(shown,) = [data for data in boards if "view" in data]
system = visit("6_System")
print(json.dumps([offered, numbers, [chart["name"] for chart in json.loads(shown["charts"])], shown["steps"],
    [one.value for one in system.subheader], [one.value.to_csv() for one in system.table],
    [len(lab.exception), len(system.exception)]]))
"""


def test_the_commands_of_the_document_run_with_the_example(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "extending.md").read_text("utf-8")
    (block,) = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    export, listing, checking, training, serving = map(shlex.split, block.splitlines())
    assert export == ["export", f"DROPVIZ_EXTENSIONS={EXAMPLE.relative_to(ROOT)}"]
    assert serving == ["dropviz", "serve"]

    def command(words: list[str]) -> str:
        changed = [word.replace("/tmp/dropviz-extending", str(tmp_path / "out")) for word in words[1:]]
        done = process("-m", "dropviz", *changed, folder=tmp_path, named=str(EXAMPLE))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "\ncheckerboard " in command(listing)
    tried = command(checking).splitlines()
    assert len(tried) == len(list(EXAMPLE.glob("*.py"))) == 5
    assert all(line.endswith(": good") for line in tried), tried
    command(training)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["spec"]["model"]["name"] == "cosine"
    assert set(summary["arms"]) == {"none", "dropout", "label-smoothing"}
    assert all("margin/mean" in arm for arm in summary["arms"].values())
    assert "train/penalty" in summary["arms"]["label-smoothing"]


def test_the_page_offers_what_the_example_brings(tmp_path: Path) -> None:
    code = PAGES.replace("ROOT", str(ROOT))
    found = told(code, folder=tmp_path, named=str(EXAMPLE))
    offered, numbers, charts, steps, headings, tables, exceptions = found
    assert exceptions == [0, 0]
    assert "Checkerboard (2-D)" in offered["Data set"]
    assert "Cosine features" in offered["Model"]
    assert "label-smoothing" in offered["Arms"]
    assert {"Position noise", "Width"} <= set(numbers)
    assert "margin" in charts
    assert steps > 0
    assert "Extensions" in headings
    for words in (
        "checkerboard.py",
        "data set checkerboard",
        "model cosine",
        "arm label-smoothing",
        "chart margin",
    ):
        assert any(words in table for table in tables), words


# What the checks find.


class Careless(TwoMoons):
    """Draws from a generator of its own."""

    def load(self, seed: int) -> Splits:
        import numpy as np

        splits = super().load(seed)
        splits.x_train[:] = np.random.default_rng().normal(size=splits.x_train.shape)
        return splits


class Miscounted(TwoMoons):
    """Says that it has three features."""

    @property
    def task(self) -> Task:
        return classification((3,), classes=2)


class Overlabelled(TwoMoons):
    """Has more classes than it says."""

    def load(self, seed: int) -> Splits:
        splits = super().load(seed)
        splits.y_test[0] = 2
        return splits


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TwoMoons(), ""),
        (Careless(), "two calls of load with one seed give different data"),
        (Miscounted(), "the train split: x is float32 (100, 2) for 100 targets"),
        (Overlabelled(), "the test split: y should be int64 class numbers from 0 to 1"),
    ],
    ids=["good", "careless", "miscounted", "overlabelled"],
)
def test_a_data_set_that_breaks_the_contract_is_found(data: TwoMoons, said: str) -> None:
    found = contracts.check_data(data)
    assert found.startswith(said)
    assert bool(found) == bool(said)


class Deaf(Linear):
    """Takes no notice of its weight."""

    def compute(self, parameters, x, dropout, carried):
        return super().compute(parameters | {"weight": 0 * parameters["weight"]}, x, dropout, carried)


class Touching(Linear):
    """Mixes the seeds."""

    def compute(self, parameters, x, dropout, carried):
        z = super().compute(parameters, x, dropout, carried)
        return z + z.mean(0, keepdim=True)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Linear(), ""),
        (Deaf(), "none on two-moons: weight does not change in 3 steps"),
        (Touching(), "of a seed comes out differently where another seed trains beside it"),
    ],
    ids=["good", "deaf", "touching"],
)
def test_a_model_that_breaks_the_contract_is_found(model: Linear, said: str) -> None:
    found = contracts.check_model(model)
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize("arm", ["none", "dropout-2@2:explicit+implicit"])
def test_this_programs_own_arms_keep_the_contract(arm: str) -> None:
    assert contracts.check_arm(arm) == ""


def test_this_programs_own_statistics_keep_the_contract() -> None:
    assert contracts.check_statistic("noise") == ""
