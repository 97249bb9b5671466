"""TLS on both sides: who has a certificate of the cluster's authority gets in, nobody else, and mistakes are said plainly."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import rpc
from distributed.security import Security

from dropviz.engine.cluster.security import security_for
from tests.engine.cluster.conftest import Site, open_site
from tests.engine.cluster.parts import make_certificates, tls_options, tls_settings
from tests.web.loops import run_apart

URL = "tls://127.0.0.1:8786"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cluster's certificates, and in ``other`` those of another one."""
    folder = make_certificates(tmp_path_factory.mktemp("tls"))
    make_certificates(folder / "other")
    return folder


@pytest.fixture
def chosen(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, and settings that name them."""
    for variable, path in tls_settings(files).items():
        monkeypatch.setenv(variable, path)
    return files


def test_no_certificate_is_needed_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DROPVIZ_TLS_CA", raising=False)
    assert security_for("tcp://127.0.0.1:8786") is None


def test_certificates_that_fit_are_required_of_both_sides(chosen: Path) -> None:
    security = security_for(URL)
    assert security is not None
    assert security.require_encryption
    assert security.get_connection_args("client")["ssl_context"].verify_mode.name == "CERT_REQUIRED"


def test_a_key_of_another_certificate_is_refused(chosen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPVIZ_TLS_KEY", str(chosen / "node.key"))
    with pytest.raises(ValueError, match=r"engine\.pem.*node\.key.*do not belong together"):
        security_for(URL)


@pytest.mark.parametrize(
    ("variable", "file", "said"),
    [
        ("DROPVIZ_TLS_CA", "engine.key", "holds no certificate"),
        ("DROPVIZ_TLS_CERT", "engine.csr", "are not a certificate and its key"),
        ("DROPVIZ_TLS_KEY", "engine.pem", "are not a certificate and its key"),
    ],
)
def test_a_file_of_another_kind_is_refused_without_what_is_in_it(
    chosen: Path, variable: str, file: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(chosen / file))
    with pytest.raises(ValueError, match=said) as caught:
        security_for(URL)
    content = (chosen / file).read_text().splitlines()
    assert not any(line in str(caught.value) for line in content)


def test_a_key_behind_a_passphrase_is_refused(
    chosen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", chosen / "engine.key"]
    subprocess.run([*command, "-out", tmp_path / "locked.key"], check=True, capture_output=True)
    monkeypatch.setenv("DROPVIZ_TLS_KEY", str(tmp_path / "locked.key"))
    with pytest.raises(ValueError, match="protected by a passphrase"):
        security_for(URL)


@pytest.fixture(scope="module")
def guarded(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A scheduler that asks for certificates, and a worker."""
    with open_site(tmp_path_factory.mktemp("guarded")) as opened:
        opened.cluster.tls = tls_options(files)
        opened.cluster.start()
        opened.cluster.add("one")
        yield opened


@pytest.fixture(params=["Scheduler", "Worker"])
def listener(request: pytest.FixtureRequest, guarded: Site) -> tuple[str, str]:
    """What listens at a port, and its address."""
    if request.param == "Scheduler":
        return "Scheduler", guarded.cluster.url
    (address,) = re.findall(r"Start worker at: +(\S+)", guarded.cluster.log("one"))
    return "Worker", address


def answer(address: str, security: Security) -> str | None:
    """What somebody who shows these certificates is told at an address; None if nothing."""

    async def ask() -> str:
        async with rpc(address, connection_args=security.get_connection_args("client"), timeout=5) as other:
            return (await other.identity())["type"]

    try:
        return run_apart(lambda: asyncio.wait_for(ask(), 20))
    except (OSError, RuntimeError):
        return None


def test_nobody_is_answered_but_who_the_authority_has_signed(listener: tuple[str, str], files: Path) -> None:
    def security(name: str) -> Security:
        cert, key = str(files / f"{name}.pem"), str(files / f"{name}.key")
        ca = str(files / "ca.pem")
        return Security(require_encryption=True, tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key)

    kind, address = listener
    assert answer(address, security("engine")) == kind
    assert answer(address, security("other/engine")) is None
    assert answer(address.replace("tls", "tcp"), Security(require_encryption=False)) is None
    assert answer(address, security("engine")) == kind


def test_who_shows_no_certificate_is_hung_up_on(listener: tuple[str, str], files: Path) -> None:
    host, port = listener[1].removeprefix("tls://").split(":")
    context = ssl.create_default_context(cafile=files / "ca.pem")
    context.check_hostname = False
    plain = socket.create_connection((host, int(port)), timeout=10)
    with context.wrap_socket(plain) as connection, pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        connection.recv(1)


@pytest.mark.parametrize("theirs", [("CERT", "KEY"), ("CA",)])
def test_an_engine_that_is_not_trusted_or_does_not_trust_says_so_and_ends(
    guarded: Site, files: Path, theirs: tuple[str, ...]
) -> None:
    mixed = {f"DROPVIZ_TLS_{part}": tls_settings(files / "other")[f"DROPVIZ_TLS_{part}"] for part in theirs}
    engine = guarded.start_engine(**tls_settings(files) | mixed)
    assert engine.wait(60) == 1
    said = guarded.said().splitlines()[-1]
    assert f"The Dask scheduler at {guarded.cluster.url} is gone or cannot be used" in said
    assert "signed by DROPVIZ_TLS_CA, and still valid?" in said
    assert "PRIVATE KEY" not in guarded.said()


def test_an_engine_without_certificates_says_which_setting_is_missing(guarded: Site) -> None:
    engine = guarded.start_engine()
    assert engine.wait(60) == 1
    assert "DROPVIZ_TLS_CA is not set" in guarded.said().splitlines()[-1]
