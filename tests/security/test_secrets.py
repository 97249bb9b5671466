"""The files that say whether there are accounts: while one of them cannot be read, a server shows nothing to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import config  # noqa: TID251
from streamlit.errors import StreamlitSecretNotFoundError  # noqa: TID251
from streamlit.runtime.secrets import secrets_singleton  # noqa: TID251
from streamlit.testing.v1 import AppTest  # noqa: TID251

from dropviz.commands.upkeep.doctor.registry import Context, Finding, run
from dropviz.web import accounts, login
from tests.browser.served import ROOT, serving
from tests.houses import free_port
from tests.security.conftest import ask

GOOD = '[auth]\nredirect_uri = "https://dropviz.example/oauth2callback"\ncookie_secret = "planted, long enough"\n'
BROKEN = f'{GOOD}client_id = "a quotation mark is missing\n'
CLOSED = ("/live/x", "/arrays/x/slice/1", "/export/x/csv")

Write = Callable[[bytes | None], None]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Somebody's home, where Streamlit looks for secrets first; what is in them is up to the test."""
    (tmp_path / ".streamlit").mkdir()
    return tmp_path


def test_serve_does_not_start_with_secrets_that_cannot_be_read(home: Path) -> None:
    (home / ".streamlit" / "secrets.toml").write_text(BROKEN)
    environment = os.environ | {"HOME": str(home), "DROPVIZ_DATA": str(home / "data")}
    command = [sys.executable, "-m", "dropviz", "serve", "--port", str(free_port())]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    (said,) = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 2
    assert f"{home}/.streamlit/secrets.toml" in said
    assert "at line 4" in said
    assert "mend the file, or delete it" in said
    assert "planted" not in said


def test_doctor_says_whom_pages_are_for_and_that_it_cannot_be_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    file = home / ".streamlit" / "secrets.toml"

    def said() -> Finding:
        (finding,) = run("accounts", Context(port=free_port()))
        return finding

    assert (said().state, said().found[:5]) == ("ok", "none:")
    file.write_text(GOOD)
    assert (said().state, said().found) == ("ok", "pages are for accounts alone")
    file.write_text(BROKEN)
    assert said().state == "problem"
    assert str(file) in said().found
    file.write_bytes(b"\xff")
    assert (said().state, "UTF-8" in said().found) == ("problem", True)


def test_a_server_closes_when_its_secrets_break_and_opens_when_they_are_mended(home: Path) -> None:
    file = home / ".streamlit" / "secrets.toml"
    file.write_text(GOOD)
    with serving(home / "data", HOME=str(home)) as served:

        def answered() -> set[int]:
            return {ask(served, path)[0] for path in CLOSED}

        assert answered() == {401}
        file.write_text(BROKEN)
        served.wait_until(lambda: answered() == {503}, "it closes")
        assert ask(served, "/_stcore/upload_file/session/file", "PUT", b"x")[0] == 503
        assert ask(served, "/lab")[0] == 200  # which says so; see below
        log = served.folder / "serve.log"
        assert f"{file}" in log.read_text()
        file.unlink()
        served.wait_until(
            lambda: answered() == {503} and "and have none" in log.read_text(), "it misses the accounts"
        )
        file.write_text(GOOD)
        served.wait_until(lambda: answered() == {401}, "it opens")
        assert "planted" not in log.read_text()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Change the only file of secrets, as if whoever watches it saw it at once; None deletes it."""
    file, before = tmp_path / "secrets.toml", config.get_option("secrets.files")
    config.set_option("secrets.files", [str(tmp_path / "none.toml"), str(file)])
    monkeypatch.setattr(secrets_singleton, "_secrets", None)
    monkeypatch.setattr(secrets_singleton, "_file_watchers_installed", True)
    monkeypatch.setattr(accounts, "watch", accounts.Watch())
    monkeypatch.setattr(accounts, "LOOK_SECONDS", 0.0)

    def changed(content: bytes | None) -> None:
        file.unlink() if content is None else file.write_bytes(content)
        with suppress(StreamlitSecretNotFoundError, UnicodeDecodeError):
            secrets_singleton._on_secrets_changed(str(file))

    yield changed
    config.set_option("secrets.files", before)


def status(path: str) -> int:
    answer = Route("/{rest:path}", lambda request: PlainTextResponse("numbers"))
    app = login.AccountsOnly(Starlette(routes=[answer]))
    return TestClient(app, base_url="http://localhost").get(path).status_code


@pytest.mark.parametrize("broken", [BROKEN.encode(), b"auth", b"[auth", b"\xff\xfe", b"[a]\n[a]\n"])
def test_what_cannot_be_read_closes_a_server_that_had_no_accounts_so_far(write: Write, broken: bytes) -> None:
    assert {status(path) for path in CLOSED} == {200}
    write(broken)
    assert {status(path) for path in CLOSED} == {503}
    assert status("/plotly.min.js") == 200
    assert login.required()
    assert login.current() is None
    write(b'other = "one"\n')
    assert {status(path) for path in CLOSED} == {200}


@pytest.mark.parametrize("lost", [None, b"", b'other = "one"\n', BROKEN.encode()])
def test_accounts_that_were_there_stay(write: Write, lost: bytes | None) -> None:
    write(GOOD.encode())
    assert {status(path) for path in CLOSED} == {401}
    write(lost)
    assert {status(path) for path in CLOSED} == {503}
    write(GOOD.encode())
    assert {status(path) for path in CLOSED} == {401}


def test_a_section_without_anything_in_it_is_one(write: Write) -> None:
    write(b"[auth]\n# client_id is to come\n")
    assert {status(path) for path in CLOSED} == {401}


def test_the_pages_say_so_and_show_nothing_else(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path / "data"))
    write(BROKEN.encode())
    app = AppTest.from_file(ROOT / "dropviz" / "web" / "main.py", default_timeout=30).run()
    assert not app.exception
    assert [header.value for header in app.header] == ["Nothing is shown at the moment"]
    assert [text.value for text in app.markdown] == [login.UNKNOWN]
    assert len(app.button) == 0


def test_the_log_says_it_once(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    write(BROKEN.encode())
    for _ in range(3):
        accounts.state()
    write(b"")
    for _ in range(2):
        accounts.state()
    errors = [record.message for record in caplog.records if record.name == accounts.__name__]
    assert len(errors) == 1
    assert "secrets.toml" in errors[0]
    assert "planted" not in errors[0]
