"""A class's definition locks what is not open; its links and the secret behind them are the server's own."""

from __future__ import annotations

import hashlib
import hmac
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dropviz import datasets
from dropviz.choices import SpecError
from dropviz.classes import ALPHABET, ClassDefinition, is_of, leaves, link_code, openable, server_secret
from dropviz.experiment import ExperimentSpec, preset
from dropviz.experiment.spec import canonical_json

ROOT = Path(__file__).resolve().parents[1]
SECRET = bytes(range(32))


@pytest.fixture
def spec() -> ExperimentSpec:
    return preset("classroom")


def of(spec: ExperimentSpec, *keys: str, **choices: object) -> ClassDefinition:
    return ClassDefinition.of(spec, "Tuesday", open=list(keys), **choices)


def test_a_definition_survives_its_journey(spec: ExperimentSpec) -> None:
    definition = of(spec, "p", "train.learning_rate", seeds=4, expires_at=1.8e9)
    assert ClassDefinition.from_table(definition.to_table()) == definition
    assert ClassDefinition.of(spec, "  two\n lines ").title == "two lines"


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"open": ["q"]}, "'q' is not a setting that can be opened: choose one of"),
        ({"open": ["first_seed"]}, "first_seed cannot be opened: a class deals the seeds by seat."),
        ({"seeds": 0}, "seeds = 0 is not possible: it must be at least 1."),
        ({"seeds": 100}, "seeds = 100 is not possible: it must be at most 32."),
    ],
)
def test_what_no_class_can_be_is_refused(spec: ExperimentSpec, choices: dict, sentence: str) -> None:
    with pytest.raises(SpecError) as error:
        ClassDefinition.of(spec, "Tuesday", **choices)
    assert str(error.value).startswith(sentence)


def test_a_title_is_needed(spec: ExperimentSpec) -> None:
    with pytest.raises(SpecError, match="title"):
        ClassDefinition.of(spec, "  ")


def test_every_single_setting_is_locked_unless_it_or_its_group_is_open(spec: ExperimentSpec) -> None:
    names = openable(spec)
    for key, _ in leaves(spec.to_table()):
        group = key.partition(".")[0]
        assert of(spec).locked(key)
        if key in names:
            assert not of(spec, key).locked(key)
        if group in names:
            assert not of(spec, group).locked(key)
    assert "language" not in names


@pytest.mark.parametrize(
    ("keys", "settings", "refused"),
    [
        ((), [], ""),
        ((), ["p=0.4"], "p = 0.4 is not possible in this class, where p is locked: it is 0.5 for everybody."),
        (("p",), ["p=0.4"], ""),
        (("p",), ["p=0.4", "train.momentum=0.9"], "train.momentum"),
        (("train.momentum",), ["train.momentum=0.9"], ""),
        (("train",), ["train.momentum=0.9", "train.steps=7"], ""),
        (("p",), ["data=two-moons"], "data.name = 'two-moons'"),
        (("data",), ["data=two-moons"], ""),
        (("data",), ["data=two-moons", "model.widths=[3]"], "model.widths"),
        (("arms",), ['arms=["none"]'], ""),
        (("p",), ['arms=["none"]'], "arms"),
    ],
)
def test_a_spec_may_differ_where_the_class_is_open(
    spec: ExperimentSpec, keys: tuple[str, ...], settings: list[str], refused: str
) -> None:
    definition = of(spec, *keys)
    asked = definition.start().with_settings(settings)
    if not refused:
        return definition.check(asked)
    with pytest.raises(SpecError) as error:
        definition.check(asked)
    assert str(error.value).startswith(refused)
    return None


def test_seats_have_seeds_of_their_own_from_the_first_seed_on(spec: ExperimentSpec) -> None:
    definition = of(spec.with_settings(["first_seed=100"]), seeds=3)
    dealt = [definition.dealt(definition.start(), seat).seed_list() for seat in range(40)]
    assert [seed for seeds in dealt for seed in seeds] == list(range(100, 220))
    assert [definition.seat_of(seed) for seed in (100, 102, 103)] == [0, 0, 1]


def test_a_form_starts_from_the_class_with_what_a_member_had_changed(spec: ExperimentSpec) -> None:
    definition = of(spec, "p", "train.momentum")
    mine = spec.with_settings(["p=0.1", "train.momentum=0.9", "train.steps=3", "data=two-moons", "seeds=50"])
    start = definition.start(mine)
    definition.check(start)
    assert (start.p, start.train.momentum, start.seeds) == (0.1, 0.9, 3)
    free = of(spec, "data").start(spec.with_settings(["data=two-moons"]))
    assert free.data == datasets.registry.read("two-moons")


def test_open_settings_that_do_not_go_together_are_left_out(spec: ExperimentSpec) -> None:
    definition = of(spec, "data")
    text = preset("markov-lstm")  # which the locked perceptron cannot learn
    assert definition.start(text) == definition.start()


def test_changes_are_what_makes_a_group_but_not_arms_and_seeds(spec: ExperimentSpec) -> None:
    definition = of(spec, "p", "arms")
    other = definition.dealt(spec.with_settings(["p=0.1", 'arms=["none"]']), 7)
    assert definition.changes(other.to_table()) == {"p": 0.1}
    assert definition.changes(definition.dealt(spec, 7).to_table()) == {}


def test_a_code_is_a_truncated_hmac_over_purpose_class_and_definition() -> None:
    message = canonical_json({"purpose": "join", "class": "abc123", "definition": "{}"}).encode()
    digits = bin(int(hmac.new(SECRET, message, hashlib.sha256).hexdigest(), 16))[2:].zfill(256)
    tag = "".join(ALPHABET[int(digits[start : start + 5], 2)] for start in range(0, 50, 5))
    code = link_code(SECRET, "join", "abc123", "{}")
    assert code.replace("-", "") == "abc123" + tag
    assert len(code) == 19


@pytest.mark.parametrize("part", range(4))
def test_a_code_is_of_one_secret_purpose_class_and_definition(part: int) -> None:
    link: list = [SECRET, "join", "abc123", "{}"]
    code = link_code(*link)
    assert is_of(code, *link)
    assert is_of(code.upper().replace("0", "O").replace("1", "l"), *link)
    link[part] = [bytes(32), "teach", "abc124", "{ }"][part]
    assert not is_of(code, *link)


def test_the_secret_is_made_once_and_only_its_user_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "dropviz.secret"
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: server_secret(path), range(8)))
    assert len(found) == 1
    assert len(found.pop()) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_make_the_secret_at_once_agree(tmp_path: Path) -> None:
    path = tmp_path / "dropviz.secret"
    code = f"from dropviz.classes import *; print(server_secret(Path({str(path)!r})).hex())"
    pipes = {"stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    processes = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(3)]  # type: ignore[call-overload]
    assert {process.communicate(timeout=60)[0].strip() for process in processes} == {path.read_bytes().hex()}


def test_a_file_that_is_no_secret_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "dropviz.secret"
    path.write_text("secret")
    with pytest.raises(ValueError, match=r"is not a secret of DropViz: move it away"):
        server_secret(path)
