"""An exported run that somebody opens in the page: one at a time, and counted by what it takes unpacked."""

from __future__ import annotations

import io

import pytest
from streamlit.testing.v1 import AppTest

from dropviz.experiment import ExperimentSpec
from dropviz.export import archive
from dropviz.store import Store
from dropviz.web import sharing
from dropviz.web.allowance import MOST_BYTES, Allowance
from tests.export.test_amounts import zeros
from tests.export.test_archive import repacked
from tests.web.conftest import FakeEngine, Visit


@pytest.fixture
def content(store: Store, engine: FakeEngine, spec: ExperimentSpec) -> bytes:
    """The zip of a run of somebody else's."""
    view_id = store.submit(spec, owner="somebody")
    engine.run_all()
    file = io.BytesIO()
    archive.write_zip(file, archive.members(store, store.experiment(view_id)))
    return file.getvalue()


def handed_in(app: AppTest, content: bytes) -> AppTest:
    app.file_uploader(key="open").upload("run.zip", content, "application/zip").run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    return " ".join(element.value for element in app.error)


def test_an_exported_run_is_opened_and_counts_by_what_it_takes(
    store: Store, content: bytes, visit: Visit, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(map(len, archive.unpacked(content)))
    given = Allowance(most=10 * len(content) + 10 * size)
    monkeypatch.setattr(sharing, "allowance", lambda: given)
    app = handed_in(visit("0_Lab"), content)
    assert said(app) == ""
    (mine,) = store.experiments(me)
    assert app.query_params["run"] == mine.id
    assert sum(amount for _, amount in given._taken[me]) == max(size, len(content))


def test_what_is_small_as_it_comes_and_large_as_it_is_kept_uses_up_the_hour(
    store: Store, content: bytes, visit: Visit, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = repacked(content, zeros(150))
    size = sum(map(len, archive.unpacked(large)))
    assert len(large) < size - 2000
    given = Allowance(most=size - 1000)
    monkeypatch.setattr(sharing, "allowance", lambda: given)
    assert "this server takes 0 MB of one person" in said(handed_in(visit("0_Lab"), large))
    assert store.experiments(me) == []
    given.most = size
    assert said(handed_in(visit("0_Lab"), large)) == ""
    assert len(store.experiments(me)) == 1


def test_the_largest_run_that_can_be_read_fits_in_an_hour() -> None:
    assert archive.MOST_BYTES + archive.MOST_TEXT_BYTES <= MOST_BYTES


def test_a_small_zip_of_millions_of_points_is_a_sentence(
    store: Store, content: bytes, visit: Visit, me: str
) -> None:
    bomb = repacked(content, zeros(1_500_000))
    assert len(bomb) < 200_000
    assert "has 1,500,000 points in the file, and" in said(handed_in(visit("0_Lab"), bomb))
    assert store.experiments(me) == []


def test_one_run_is_opened_at_a_time(
    store: Store, content: bytes, visit: Visit, me: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "PATIENCE", 0.01)
    with sharing._alone():
        assert "choose the file again in a minute" in said(handed_in(visit("0_Lab"), content))
        assert store.experiments(me) == []
    assert said(handed_in(visit("0_Lab"), content)) == ""
    assert len(store.experiments(me)) == 1
    assert not sharing._opening.locked()
