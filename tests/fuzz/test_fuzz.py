"""Whatever comes in, what comes out is an answer: a result or one sentence. The long form is ``python -m tests.fuzz``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.subjects import Subject, subjects, tried
from tests.fuzz.watched import watched
from tests.fuzz.world import World, world

EXAMPLES = 25
NAMES = (
    "spec tables", "settings", "links to settings", "TOML files", "JSON files", "values of a sweep", "sweeps", "CSV uploads",
    "text uploads", "paths of files", "damaged zips", "changed runs in zips", "damaged numbers in zips", "data routes",
    "class links", "lesson files", "names, notes and tags", "what a component sends",
)  # fmt: skip


@pytest.fixture(scope="module")
def tried_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("fuzz")) as found:
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_any_input_is_answered(name: str, tried_in: World) -> None:
    run(subjects(tried_in)[name], EXAMPLES, tried_in.folder)


def test_nothing_is_left_out(tried_in: World) -> None:
    assert set(NAMES) == set(subjects(tried_in))


def run(subject: Subject, count: int, folder: Path, number: int = 0) -> None:
    """Try so many inputs; raises at the first that finds something, made as small as it can be."""

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(subject.inputs)
    def feed(value: object) -> None:
        with watched(folder):
            tried(subject, value)

    feed()
