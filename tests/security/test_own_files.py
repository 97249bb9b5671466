"""What became of the rows of somebody's own file is in the exports of who handed it in, and in nobody else's."""

from __future__ import annotations

import contextlib
import io
import zipfile
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path

import numpy as np
import pytest

from dropviz import uploads
from dropviz.experiment import ExperimentSpec
from dropviz.web import handed_in
from dropviz.web.visitor import COOKIE
from tests.browser.served import Served

OWNER, STRANGER, ANOTHER = "feedface" * 4, "a" * 32, "b" * 32
ROWS = "\n".join(f"{i % 7},{i * i % 11},{'ab'[i % 3 == 0]}" for i in range(60))
CONTENT: dict[uploads.Kind, bytes] = {
    "csv": f"x,y,kind\n{ROWS}\n".encode(),
    "text": b"the cat sat on the mat and the dog lay by the door\n" * 200,
}
MODEL = {"csv": {"name": "mlp", "widths": [4]}, "text": {"name": "lstm", "width": 8, "embedding": 5}}


@pytest.fixture(params=["csv", "text"])
def spec(request: pytest.FixtureRequest, served: Served, monkeypatch: pytest.MonkeyPatch) -> ExperimentSpec:
    """An experiment on a file that its owner handed in."""
    monkeypatch.setenv("DROPVIZ_DATA", str(served.folder))
    digest = uploads.keep(CONTENT[request.param], request.param)
    handed_in.note(OWNER, digest)
    table = {"data": {"name": request.param, "file": digest}, "model": MODEL[request.param]}
    small = {"arms": ["dropout"], "seeds": 1, "train": {"steps": 4, "batch_size": 4}}
    return ExperimentSpec.from_table(table | small | {"observe": {"evaluations": 1, "statistics": 0}})


def export(served: Served, path: str, visitor: str, **headers: str) -> tuple[HTTPMessage, zipfile.ZipFile]:
    connection = HTTPConnection("127.0.0.1", served.port, timeout=60)
    try:
        cookie = {"Cookie": f"{COOKIE}={visitor}"} if visitor else {}
        connection.request("GET", f"/export/{path}", headers=cookie | headers)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.headers, zipfile.ZipFile(io.BytesIO(answer.read()))
    finally:
        connection.close()


def data_in(found: zipfile.ZipFile) -> list[str]:
    """The members that hold data of a script."""
    return [name for name in found.namelist() if name.endswith("data.npz")]


def run(found: zipfile.ZipFile, folder: Path) -> str:
    """What an exported script prints where the zip was unpacked."""
    found.extractall(folder)
    place, said = folder / "dropout" / "train.py", io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(place.read_text(), place, "exec"), {"__name__": "__main__", "__file__": str(place)})
    return said.getvalue()


def test_rows_go_to_who_handed_the_file_in_and_to_nobody_else(
    served: Served, spec: ExperimentSpec, tmp_path: Path
) -> None:
    own = served.store.submit(spec, owner=OWNER)
    anew = served.store.submit(spec, owner=STRANGER)  # by the link, which lets them train on it
    for view_id in (own, anew):
        for name, place in (("scripts", "dropout"), ("zip", "scripts/dropout")):
            assert data_in(export(served, f"{view_id}/{name}", OWNER)[1]) == [f"{place}/data.npz"]
            for visitor in (STRANGER, ANOTHER, ""):
                found = export(served, f"{view_id}/{name}", visitor)[1]
                assert data_in(found) == []
                assert f"{place}/train.py" in found.namelist()

    tag = export(served, f"{own}/scripts", OWNER)[0]["etag"]
    found = export(served, f"{own}/scripts", STRANGER, **{"If-None-Match": tag})[1]
    assert data_in(found) == []
    digest = spec.to_table()["data"]["file"]
    handed_in.note(ANOTHER, digest)
    assert data_in(export(served, f"{own}/scripts", ANOTHER)[1]) == ["dropout/data.npz"]


def test_a_script_without_its_data_says_what_belongs_where_and_runs_once_it_is_there(
    served: Served, spec: ExperimentSpec, tmp_path: Path
) -> None:
    view_id = served.store.submit(spec, owner=OWNER)
    owners, strangers = (export(served, f"{view_id}/scripts", who)[1] for who in (OWNER, STRANGER))
    assert owners.read("dropout/train.py") == strangers.read("dropout/train.py")
    with pytest.raises(SystemExit) as ended:  # which Python prints, and no traceback
        run(strangers, tmp_path)
    sentence = str(ended.value)
    assert "\n" not in sentence
    assert f"{tmp_path / 'dropout' / 'data.npz'} is not there" in sentence
    assert spec.to_table()["data"]["file"] in sentence
    assert "hand it in" in sentence
    assert "validation" in run(owners, tmp_path)


def test_a_mounted_file_that_a_run_names_goes_to_nobody(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dropviz.web.exports import gets_rows

    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    monkeypatch.setenv("DROPVIZ_FILES", str(tmp_path))
    (tmp_path / "secret.csv").write_bytes(CONTENT["csv"])
    table = {"data": {"name": "csv", "file": "secret.csv"}, "model": MODEL["csv"]}
    spec = ExperimentSpec.from_table(table)  # as an exported zip may say
    assert np.isfinite(spec.data.load(0).x_train).all()  # type: ignore[union-attr]
    assert not any(gets_rows(spec, owner) for owner in (OWNER, STRANGER, ""))
    assert gets_rows(spec.with_settings(["data=digits"]), "")
