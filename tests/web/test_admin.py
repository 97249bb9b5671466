"""Administration: by the server's token alone, whatever others type, and absent where there is no token."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dropviz import settings
from dropviz.web import admin
from dropviz.web.visitor import COOKIE
from tests.web.looking import texts

TOKEN = "correct horse battery"


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DROPVIZ_ADMIN_TOKEN", "DROPVIZ_ADMIN_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(admin, "refusals", admin.Refusals())


def sign_in(app, token: str):
    app.text_input(key=admin.FIELD).input(token)
    app.button(key="FormSubmitter:administration-Sign in").click()
    return app.run()


def test_without_the_setting_the_page_says_how_to_have_administration(visit, store) -> None:
    app = visit("6_System")
    assert "Start it with `DROPVIZ_ADMIN_TOKEN` set" in texts(app)
    assert len(app.text_input) == 0


def test_the_token_comes_from_the_variable_or_a_file_and_is_never_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert settings.admin_token() is None
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN", "too short")
    with pytest.raises(ValueError, match="has 9 characters: give it at least 16") as refusal:
        settings.admin_token()
    assert "too short" not in str(refusal.value)
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN", TOKEN)
    assert settings.admin_token() == TOKEN
    file = tmp_path / "token"
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN_FILE", str(file))
    with pytest.raises(ValueError, match="are both set"):
        settings.admin_token()
    monkeypatch.delenv("DROPVIZ_ADMIN_TOKEN")
    with pytest.raises(ValueError, match="cannot be read"):
        settings.admin_token()
    file.write_text("")
    with pytest.raises(ValueError, match="has 0 characters"):  # an empty file is no wish for none
        settings.admin_token()
    file.write_text(f"{TOKEN}\n")
    assert settings.admin_token() == TOKEN


def test_a_token_that_cannot_be_used_is_said_on_the_page(visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN", "short")
    app = visit("6_System")
    assert not app.exception
    assert "has 5 characters" in texts(app).replace("\\", "")


def test_the_right_token_signs_this_session_in_until_it_signs_out(
    visit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN", TOKEN)
    caplog.set_level(logging.DEBUG)
    app = visit("6_System")
    app = sign_in(app, "wrong horse battery")
    assert "This is not the administration token" in texts(app)
    assert admin.SIGNED_IN not in app.session_state
    app = sign_in(app, TOKEN)
    assert "Sign out" in [button.label for button in app.button]
    assert "Sign out" not in [button.label for button in visit("6_System").button], "another tab"
    assert TOKEN not in str(app.session_state)
    app.button[-1].click().run()
    assert len(app.text_input) == 1
    assert "administration refused" in caplog.messages
    assert "administration begins" in caplog.messages
    assert "horse" not in caplog.text


def test_another_token_ends_what_the_former_one_began(visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN", TOKEN)
    app = sign_in(visit("6_System"), TOKEN)
    assert "Sign out" in [button.label for button in app.button]
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN", TOKEN[::-1])
    assert "Sign out" not in [button.label for button in app.run().button]


def test_nobody_keeps_the_administrator_out_by_typing_wrong_tokens(
    visit, cookies: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DROPVIZ_ADMIN_TOKEN", TOKEN)
    caplog.set_level(logging.INFO)
    app = visit("6_System")
    for number in range(admin.MOST_LOGGED + 5):
        cookies[COOKIE] = f"{number:032x}"
        app = sign_in(app, f"wrong horse battery {number}")
        assert admin.REFUSED in texts(app)
    app = sign_in(app, TOKEN)
    assert "Sign out" in [button.label for button in app.button], "who typed the last wrong one"
    cookies[COOKIE] = "f" * 32
    app = sign_in(visit("6_System"), TOKEN)
    assert "Sign out" in [button.label for button in app.button], "somebody else"
    assert caplog.messages.count("administration refused") == admin.MOST_LOGGED
    assert sum("again and again" in message for message in caplog.messages) == 1


def test_the_right_token_alone_passes() -> None:
    letters = "größer als sechzehn"
    assert admin.passes(letters, letters)
    for given in ("", " ", TOKEN[:-1], f"{TOKEN} ", TOKEN.upper(), f"{TOKEN}\0", letters):
        assert not admin.passes(given, TOKEN)


def test_refusals_are_logged_again_when_they_get_fewer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    refusals = admin.Refusals()
    for now in (0.0, 30.0, 61.0):
        caplog.clear()
        for _ in range(2 * admin.MOST_LOGGED):
            refusals.note(now)
        logged = caplog.messages.count("administration refused")
        assert logged == (0 if now == 30.0 else admin.MOST_LOGGED)
        assert len(caplog.messages) == logged + (now != 30.0)
