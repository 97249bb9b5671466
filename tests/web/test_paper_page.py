"""The Paper page: every row with its verdict in words, the paper beside it, and results of this installation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dropviz.analysis.claims import WORDS
from dropviz.replication import own_path, recorded, results_text, rows
from dropviz.replication.outcomes import Outcome
from dropviz.web import paper


def shown(app) -> str:
    """All that the page says, tags and all."""
    return " ".join(element.proto.body for element in app.get("html"))


def figures(app) -> list[dict]:
    return [json.loads(element.proto.json) for element in app.get("bidi_component")]


def test_every_row_is_there_with_its_verdict_and_the_paper_beside_it(visit, data) -> None:
    app = visit("5_Paper")
    assert not app.exception
    assert [header.value for header in app.header] == [f"{one.where}: {one.title}" for one in rows()]
    said, written = shown(app), " ".join(text.value for text in app.markdown)
    for one in rows():
        assert one.claim in written
        for number in one.paper:
            assert number in written
        found = recorded()[one.key]
        assert found.summary in said
        assert f'href="#{one.key}"' in said
    assert "does not hold" in said or "undecided" in said  # what does not reproduce is shown, too
    commands = [code.value for code in app.code]
    assert len(commands) == len(rows())
    assert all(f"--scale full --only {one.key}" in code for one, code in zip(rows(), commands, strict=True))


def test_each_chart_has_a_table_and_words(visit, data) -> None:
    drawn = [one for one in figures(visit("5_Paper")) if "figure" in one]
    assert drawn
    for one in drawn:
        assert one["alt"]
        assert len(json.loads(one["table"])) > 1


def test_nothing_recorded_says_how_to_begin(visit, data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "recorded", dict)
    app = visit("5_Paper")
    assert not app.exception
    assert "`dropviz replicate` on the server does so" in app.info[0].value
    assert "not run" in shown(app)
    assert not any("figure" in one for one in figures(app))


def test_what_was_replicated_here_can_be_looked_at(
    visit, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = recorded()["fig1"]
    mine = Outcome.from_table(one.to_table() | {"verdict": "red", "summary": "Mine."})
    own_path("small").parent.mkdir(parents=True)
    own_path("small").write_text(results_text({"fig1": mine}))
    own_path("medium").write_text("damaged")
    app = visit("5_Paper")
    (chosen,) = app.get("button_group")
    assert [option.content for option in chosen.proto.options] == [paper.RECORDED, "Run here, small"]
    assert "Mine." not in shown(app)
    chosen.set_value("Run here, small").run()
    assert "Mine." in shown(app)
    assert WORDS["red"] in shown(app)
