"""Whatever comes in, what comes out is an answer: a result or one sentence. The long form is ``python -m tests.fuzz``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.feeding import feed
from tests.fuzz.subjects import subjects
from tests.fuzz.world import World, world

EXAMPLES = 25
NAMES = (
    "spec tables", "settings", "links to settings", "TOML files", "JSON files", "values of a sweep", "sweeps", "CSV uploads",
    "text uploads", "paths of files", "damaged zips", "changed runs in zips", "damaged numbers in zips", "data routes",
    "addresses of pages", "class links", "lesson files", "names, notes and tags", "typed values", "what a component sends",
)  # fmt: skip


@pytest.fixture(scope="module")
def tried_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("fuzz")) as found:
        yield found


@pytest.mark.parametrize("name", NAMES)
def test_any_input_is_answered(name: str, tried_in: World) -> None:
    feed(subjects(tried_in)[name], EXAMPLES, tried_in.folder)


def test_nothing_is_left_out(tried_in: World) -> None:
    assert set(NAMES) == set(subjects(tried_in))
