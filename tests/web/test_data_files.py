"""Data from outside, in the form: fetched with a press, refused while it is missing, or a person's own file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dropviz import datasets, uploads
from dropviz.datasets.ptb import PennTreebank
from dropviz.experiment import ExperimentSpec, SpecError, preset
from dropviz.web import data_files, handed_in
from dropviz.web.allowance import Allowance
from dropviz.web.controls import submit
from dropviz.web.visitor import COOKIE
from tests.downloads import server as serve
from tests.downloads.server import Request, Server, plain, whole
from tests.downloads.small import remote, wait_until

LINE = b"the cat sat on the mat and the dog lay by the door\n"
PARTS = (LINE * 400, LINE * 40, LINE * 40)


def form(source: str, text: str) -> None:
    import json

    import streamlit as st

    from dropviz.experiment import ExperimentSpec
    from dropviz.web.forms import spec_form
    from dropviz.web.knobs import Keys

    st.session_state["table"] = spec_form(Keys(source), ExperimentSpec.from_table(json.loads(text)))


@pytest.fixture
def ptb(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of three small files in the place of the Penn Treebank's."""
    monkeypatch.delenv("DROPVIZ_CACHE", raising=False)
    data_files.fetches.cache_clear()
    with serve.serving() as running:
        files = tuple(remote(f"{running.url}/{index}", part) for index, part in enumerate(PARTS))
        monkeypatch.setattr(PennTreebank, "files", files)
        running.gives(by_path)
        yield running


def by_path(request: Request) -> None:
    whole(PARTS[int(request.path[1:])])(request)


def opened(data: Any, model: str = "lstm") -> AppTest:
    spec = preset("noisy-digits").to_table() | {"data": data, "model": {"name": model}}
    table = ExperimentSpec.from_table(spec).to_table()
    app = AppTest.from_function(form, args=("here", json.dumps(table)), default_timeout=30).run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    kinds = ("info", "error", "warning", "caption")
    return "\n".join(element.value.replace("\\", "") for kind in kinds for element in app.get(kind))


def fetching(app: AppTest) -> Any:
    """The download of the data set in the form."""
    found = data_files.fetches().of(PennTreebank().download())
    assert found is not None
    return found


def test_the_menu_has_what_is_here_first_and_marks_downloads(ptb: Server, cookies) -> None:
    options = opened("markov").selectbox(key="here/data.name").options
    assert options.index("Markov text (known optimum)") < options.index("Penn Treebank (words) · download")
    assert options.index("Digits (8 × 8 images)") < options.index("Two moons (2-D)")
    assert options[-1] == "Your own text"


FETCH = "here/data.fetch"


def test_a_data_set_that_has_to_be_fetched_says_its_size_and_licence(ptb: Server, cookies) -> None:
    app = opened("ptb")
    assert "**Penn Treebank (words)** is not on this server yet: 24.5 kB from 127.0.0.1." in said(app)
    assert PennTreebank.licence in said(app)
    assert app.button(key=FETCH).label == "Fetch (24.5 kB)"
    assert ptb.requests == []


def test_a_press_fetches_it_and_then_it_can_be_used_at_once(ptb: Server, cookies) -> None:
    app = opened("ptb")
    app.button(key=FETCH).click().run()
    assert not app.exception
    fetching(app).thread.join(30)
    app.run()
    assert not app.exception
    assert app.session_state["table"]["data"]["name"] == "ptb"
    assert "not on this server" not in said(app)
    assert all(button.key != FETCH for button in app.button)
    assert datasets.registry.read("ptb").missing() == ""


def test_while_it_is_fetched_the_page_says_how_far_it_is_and_it_can_be_cancelled(
    ptb: Server, cookies
) -> None:
    ptb.gives(whole(PARTS[0], cut=10_000, hold=True))
    app = opened("ptb")
    app.button(key=FETCH).click().run()
    wait_until(lambda: fetching(app).done == 10_000)
    app.run()
    assert not app.exception
    assert app.get("progress")[0].proto.text.replace("\\", "").startswith("10.0 kB of 24.5 kB")
    app.button(key=f"{FETCH}/cancel").click().run()
    assert not app.exception
    assert app.button(key=FETCH).label == "Go on fetching (24.5 kB)"
    ptb.gives(by_path)
    ptb.released.set()
    app.button(key=FETCH).click().run()
    fetching(app).thread.join(30)
    assert fetching(app).state == "done"


def test_somebody_else_joins_and_cannot_cancel_what_others_want(ptb: Server, cookies: dict[str, str]) -> None:
    ptb.gives(whole(PARTS[0], cut=10_000, hold=True))
    app = opened("ptb")
    app.button(key=FETCH).click().run()
    mine = fetching(app)
    cookies.update(dict.fromkeys(cookies, "f" * 32))
    other = opened("ptb")
    assert "Somebody else fetches it" in said(other)
    assert all(button.key != f"{FETCH}/cancel" for button in other.button)
    mine.cancel()
    ptb.released.set()


def test_a_failure_is_a_sentence_beside_a_button_that_tries_again(ptb: Server, cookies) -> None:
    ptb.gives(plain("404 Not Found", "Content-Length: 0"))
    app = opened("ptb")
    app.button(key=FETCH).click().run()
    fetching(app).thread.join(30)
    app.run()
    assert "0 was not fetched" in said(app)
    assert app.button(key=FETCH).label == "Fetch again (24.5 kB)"


def test_a_spec_whose_data_are_missing_is_refused_with_the_reason(ptb: Server, store, cookies) -> None:
    table = opened("ptb").session_state["table"]
    with pytest.raises(SpecError, match=r"Penn Treebank.*has to be fetched first"):
        submit(table)
    assert store.experiments() == []


TEXT = b"To be, or not to be, that is the question. " * 300
FILE = "here/data.text.file"


def test_an_uploaded_text_is_kept_and_named_by_its_hash(data: Path, cookies) -> None:
    app = opened("text")
    assert "No file is chosen" in said(app)
    app.file_uploader(key=FILE).upload("hamlet.txt", TEXT, "text/plain").run()
    assert not app.exception
    table = app.session_state["table"]
    assert uploads.read(table["data"]["file"], "text") == TEXT
    assert handed_in.by(cookies[COOKIE], table["data"]["file"])
    assert said(app) == ""
    assert ExperimentSpec.from_table(table).data.missing() == ""


def test_who_hands_in_the_same_file_has_handed_it_in_too_and_nobody_else(data: Path, cookies) -> None:
    digest, first = uploads.keep(TEXT, "text"), cookies[COOKIE]
    assert not any(handed_in.by(owner, digest) for owner in (first, "f" * 32, ""))
    for owner in (first, "f" * 32):
        cookies[COOKIE] = owner
        app = opened("text")
        app.file_uploader(key=FILE).upload("hamlet.txt", TEXT, "text/plain").run()
        assert handed_in.by(owner, digest)
        assert not handed_in.by("a" * 32, digest)
        assert not handed_in.by(owner, uploads.keep(LINE, "text"))
    names = " ".join(path.name for path in handed_in.folder().iterdir())
    assert not any(secret in names for secret in (digest, first, "f" * 32))


def test_a_file_that_cannot_be_used_is_a_sentence_at_once(data: Path, cookies) -> None:
    app = opened("text")
    app.file_uploader(key=FILE).upload("photo.txt", b"\xff\xd8" * 4000, "text/plain").run()
    assert not app.exception
    assert "is not UTF-8" in said(app)
    app.file_uploader(key=FILE).upload("empty.txt", b"", "text/plain").run()
    assert "is empty" in said(app)


def test_who_hands_in_too_much_and_a_disk_that_takes_nothing_are_told_so(
    data: Path, cookies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_files, "allowance", lambda: Allowance(most=1000))
    app = opened("text")
    app.file_uploader(key=FILE).upload("hamlet.txt", TEXT, "text/plain").run()
    assert "this server takes 0 MB of one person" in said(app)
    assert not uploads.folder().exists()
    monkeypatch.setattr(data_files, "allowance", Allowance)
    data.mkdir(exist_ok=True)
    uploads.folder().write_text("in its way")
    app.run()
    assert not app.exception
    assert "It could not be kept: File exists." in said(app)


def test_the_file_of_an_experiment_is_in_the_form_of_its_link(data: Path, cookies) -> None:
    digest = uploads.keep(TEXT, "text")
    app = opened({"name": "text", "file": digest})
    assert f"In use: the upload {digest[:12]}…" in said(app)
    assert app.session_state["table"]["data"]["file"] == digest


def test_a_file_of_the_mounted_folder_can_be_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cookies
) -> None:
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "hamlet.txt").write_bytes(TEXT)
    monkeypatch.setenv("DROPVIZ_FILES", str(tmp_path / "mounted"))
    app = opened("text")
    app.text_input(key=f"{FILE}/path").set_value("hamlet.txt").run()
    assert app.session_state["table"]["data"]["file"] == "hamlet.txt"
    assert said(app) == ""


TABLE = b"height,weight,kind\n" + b"".join(
    b"%d,%d,%s\n" % (n, 3 * n, b"ab"[n % 2 : n % 2 + 1]) for n in range(60)
)


def test_an_uploaded_table_is_learned_by_what_its_label_column_asks_for(data: Path, cookies) -> None:
    app = opened("csv", model="mlp")
    assert "No file is chosen" in said(app)
    app.file_uploader(key="here/data.csv.file").upload("pets.csv", TABLE, "text/csv").run()
    assert not app.exception
    assert said(app) == ""
    spec = ExperimentSpec.from_table(app.session_state["table"])
    assert (spec.data.task.kind, spec.data.task.inputs, spec.data.task.outputs) == ("classification", 2, 2)
    app.file_uploader(key="here/data.csv.file").upload(
        "pets.csv", TABLE + b"tall,1,a\n" * 9, "text/csv"
    ).run()
    assert "tall" in said(app)
