"""Settings: what may be set is read before anything is served, and what may not is refused in a sentence."""

from __future__ import annotations

import inspect

import pytest

from dropviz import settings
from dropviz.commands import serve
from dropviz.web.guard import known_host


def test_every_setting_that_can_be_wrong_is_read_at_the_start() -> None:
    functions = [getattr(settings, name) for name in settings.__all__ if name.islower()]
    alone = [one for one in functions if inspect.isfunction(one) and not inspect.signature(one).parameters]
    wrong = {one for one in alone if "Raises:" in (one.__doc__ or "")}
    # Certificates are read where the engine is one that needs them.
    assert wrong - {settings.tls_files} <= {*settings.FOR_WORK, *settings.FOR_PAGES}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SLOTS", "0"),
        ("DEVICE", "tpu"),
        ("ENGINE", "tcp://10.0.0.1:8786"),
        ("HOSTS", "a.example, b.example:80"),
        ("KEEP_DAYS", "soon"),
        ("KEEP_BYTES", "-1"),
        ("STEP_MINUTES", "none"),
        ("METRICS", "maybe"),
        ("ADMIN_TOKEN", "short"),
        ("LOG", "xml"),
        ("LOG_LEVEL", "loud"),
        ("WEIGHTS_MB", "1.5"),
        ("FILES", "/nowhere"),
        ("LESSONS", "/nowhere"),
        ("STORE", "mysql://host/database"),
        ("TLS_CA", "/nowhere"),
        ("MAX_SEEDS", "many"),
    ],
)
def test_a_server_with_one_that_is_not_possible_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path, variable: str, text: str
) -> None:
    def begin() -> None:
        raise AssertionError("it went on")

    monkeypatch.setattr(serve.Store, "open", begin)
    monkeypatch.setenv("DROPVIZ_DATA", str(tmp_path))
    if variable == "TLS_CA":
        monkeypatch.setenv("DROPVIZ_ENGINE", "tls://10.0.0.1:8786")
    monkeypatch.setenv(f"DROPVIZ_{variable}", text)
    with pytest.raises(ValueError, match=rf"DROPVIZ_{variable}\b") as refused:
        serve.serve("127.0.0.1", 0)
    assert "short" not in str(refused.value).replace("shorter", "")  # a token is never shown


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", None),
        ("  ", None),
        ("dropviz.example.org", ("dropviz.example.org",)),
        (" A.example , b.example,", ("a.example", "b.example")),
        ("[2001:db8::1],192.0.2.7", ("2001:db8::1", "192.0.2.7")),
    ],
)
def test_hosts_are_names_with_commas_between_them(
    monkeypatch: pytest.MonkeyPatch, text: str, names: tuple[str, ...] | None
) -> None:
    monkeypatch.setenv("DROPVIZ_HOSTS", text)
    assert settings.hosts() == names


@pytest.mark.parametrize("text", ["a.example:80", "https://a.example", "a b", "a.example/lab", "*"])
def test_hosts_that_are_no_names_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DROPVIZ_HOSTS", text)
    with pytest.raises(ValueError, match=r"DROPVIZ_HOSTS names .* without port"):
        settings.hosts()


def test_named_hosts_are_answered_beside_those_of_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_HOSTS", "dropviz.example.org,2001:db8::1")
    answered = (
        "dropviz.example.org",
        "DropViz.Example.org:443",
        "[2001:db8::1]:8501",
        "localhost:8501",
        None,
    )
    refused = ("example.org", "dropviz.example.org.evil.example", "evil-dropviz.example.org", "")
    assert [known_host(host) for host in answered] == [True] * 5
    assert [known_host(host) for host in refused] == [False] * 4
