"""Share and Keep in the pages: which links there are, which files, and opening an exported run."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from streamlit.testing.v1 import AppTest

from dropviz import uploads
from dropviz.experiment.links import spec_of
from dropviz.export import archive
from dropviz.store import Store
from dropviz.web import sharing
from tests.web.looking import run_in_url


def links(app: AppTest) -> dict[str, dict[str, Any]]:
    """Title → link, of all that the popovers hold."""
    found = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    return {link["title"]: link for data in found if "links" in data for link in data["links"]}


def exported(store: Store, view_id: str) -> bytes:
    out = io.BytesIO()
    archive.write_zip(out, archive.members(store, store.experiment(view_id)))
    return out.getvalue()


def test_without_a_run_there_is_the_link_to_the_settings(visit, results: Path) -> None:
    app = visit("0_Lab", preset="classroom", p="0.2")
    assert set(links(app)) == {"These settings"}
    assert links(app)["These settings"]["path"] == "lab?preset=classroom&p=0.2"


def test_a_run_has_links_to_it_and_to_the_form_beside_it(visit, store: Store, engine, spec) -> None:
    view_id = store.submit(spec)
    engine.run_all()
    app = visit("0_Lab", run=view_id)
    next(field for field in app.number_input if field.label == "Seeds").set_value(2).run()
    assert not app.exception
    found = links(app)
    assert found["This result"]["path"] == f"lab?run={view_id}"
    assert found["In a page of yours"]["path"] == f"lab?run={view_id}&embed=true"
    assert found["In a page of yours"]["around"].startswith('<iframe src="{url}"')
    query = found["These settings"]["path"].removeprefix("lab?")
    assert spec_of(dict(parse_qsl(query))) == spec.with_settings(["seeds=2"])


def test_links_to_a_run_on_ones_own_file_say_what_they_give_away_of_it(visit, store: Store, spec) -> None:
    rows = "\n".join(f"{i % 7},{i * i % 11},{'ab'[i % 3 == 0]}" for i in range(60))
    digest = uploads.keep(f"x,y,kind\n{rows}\n".encode(), "csv")
    table = spec.to_table() | {"data": {"name": "csv", "file": digest}}
    own = links(visit("0_Lab", run=store.submit(type(spec).from_table(table))))
    others = links(visit("0_Lab", run=store.submit(spec)))
    for title in ("This result", "These settings"):
        assert "train on your file here, and gives none of its rows" in own[title]["note"]
        assert "file" not in others[title]["note"]


def test_settings_that_cannot_be_run_have_no_link_and_that_is_said(visit, results: Path) -> None:
    app = visit("0_Lab")
    next(field for field in app.multiselect if field.label == "Arms").set_value([]).run()
    assert not app.exception
    assert links(app) == {}
    assert any("no link to them yet" in caption.value for caption in app.caption)


def test_keep_offers_every_format_of_a_run_and_weights_where_there_are_some(
    visit, store: Store, engine, spec
) -> None:
    view_id = store.submit(spec)
    app = visit("0_Lab", run=view_id)
    assert any("It has not ended" in caption.value for caption in app.caption)
    engine.run_all()
    found = links(visit("0_Lab", run=view_id))
    assert found["CSV"]["path"] == f"export/{view_id}/csv"
    assert {"Report", "CSV", "Parquet", "Summary", "TensorBoard", "Everything"} <= set(found)
    assert "Weights" not in found
    job = store.experiment(view_id).jobs[0].id
    (store.weights.folder / str(job)).mkdir(parents=True)
    (store.weights.folder / str(job) / "40.safetensors").touch()
    assert "Weights" in links(visit("0_Lab", run=view_id))


def test_the_curvature_page_has_both_for_its_own_view(visit, store: Store, spec) -> None:
    view_id = store.submit(spec)
    found = links(visit("3_Curvature", run=view_id))
    assert found["This result"]["path"] == f"curvature?run={view_id}"
    assert "Everything" in found


class Given:
    """What a file uploader returns."""

    def __init__(self, content: bytes, file_id: str) -> None:
        self.content, self.file_id = content, file_id

    def getvalue(self) -> bytes:
        return self.content


def test_an_exported_run_is_opened_once_and_shown_as_imported(
    visit, boards, store: Store, engine, spec, monkeypatch, me: str
) -> None:
    view_id = store.submit(spec)
    engine.run_all()
    given = Given(exported(store, view_id), "one")
    monkeypatch.setattr(sharing.st, "file_uploader", lambda *args, **kwargs: given)
    app = visit("0_Lab")
    opened = store.experiment(run_in_url(app))
    assert (opened.origin, opened.owner, opened.spec) == ("import", me, spec)
    assert opened.id != view_id
    app.run()
    assert run_in_url(app) == opened.id
    assert len(store.experiments()) == 2


def test_what_is_no_exported_run_is_told_in_a_sentence(visit, store: Store, monkeypatch, results) -> None:
    monkeypatch.setattr(sharing.st, "file_uploader", lambda *args, **kwargs: Given(b"x", "one"))
    app = visit("0_Lab")
    assert not app.exception
    assert "The file is not a zip" in app.error[0].value.replace("\\", "")
    assert store.experiments() == []
