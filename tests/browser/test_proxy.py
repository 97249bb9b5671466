"""Behind a reverse proxy, by the documents' own configurations: everything is there, by the public name and over TLS."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from dropviz.engine.lifeline import death_signal
from tests.browser.served import ARGUMENTS, CHROMIUM, ROOT, Served, serving
from tests.browser.test_lab import press, state
from tests.houses import free_port, wait_until
from tests.test_docs import blocks

DOCUMENT = "docs/operating.md"
NAME = "dropviz.example.org"
(HOSTS,) = re.findall(r"`DROPVIZ_HOSTS=([a-z.]+)`", (ROOT / DOCUMENT).read_text("utf-8"))


def documented(language: str, first: str, changes: dict[str, str]) -> str:
    """The block of the documents that begins like this, on this machine's ports and files; each change meets one place."""
    (text,) = [block for block in blocks(DOCUMENT, language) if block.startswith(first)]
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in\n{text}"
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, upstream: int) -> list[str]:
    """The command line of an nginx with a certificate of its own."""
    certificate = ["-subj", f"/CN={NAME}", "-keyout", "dropviz.key", "-out", "dropviz.pem", "-days", "2"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *certificate]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/dropviz.pem": f"{folder}/dropviz.pem",
        "/etc/ssl/dropviz.key": f"{folder}/dropviz.key",
        "127.0.0.1:8501": f"127.0.0.1:{upstream}",
    }
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    server = documented("nginx", "server {", changes)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr; {user}\nevents {{}}\nhttp {{ access_log off;\n{places}\n{server}}}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def caddy(folder: Path, port: int, upstream: int) -> list[str]:
    """The command line of a Caddy that signs its certificate itself."""
    changes = {f"{NAME} {{": f"{NAME}:{port} {{", "127.0.0.1:8501": f"127.0.0.1:{upstream}"}
    apart = "admin off\nauto_https disable_redirects\nlocal_certs\nskip_install_trust\ndefault_bind 127.0.0.1"
    site = documented("text", NAME, changes)
    (folder / "Caddyfile").write_text(f"{{\n{apart}\nstorage file_system {folder}/caddy\n}}\n{site}")
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@contextmanager
def proxy(name: str, folder: Path, upstream: int) -> Iterator[int]:
    """A proxy in front of a server; yields its port."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    if shutil.which(name, path=path) is None:
        pytest.skip(f"there is no {name} here: apt-get install {name} brings one")
    folder.mkdir()
    port = free_port()
    command = {"nginx": nginx, "caddy": caddy}[name](folder, port, upstream)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=os.environ | {"PATH": path, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=death_signal(),
        )
    try:
        yield port
    finally:
        process.kill()
        process.wait(20)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that is told its public name, as the documents say."""
    with serving(tmp_path_factory.mktemp("behind"), DROPVIZ_HOSTS=HOSTS, DROPVIZ_METRICS="1") as running:
        yield running


@pytest.fixture(params=["nginx", "caddy"])
def public(
    request: pytest.FixtureRequest, behind: Served, chromium: Browser, tmp_path: Path
) -> Iterator[Page]:
    """A tab that knows the public name, and that it is here."""
    with proxy(request.param, tmp_path / "proxy", behind.port) as port:
        found = f"--host-resolver-rules=MAP {NAME}:443 127.0.0.1:{port}"
        browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, found])
        page = browser.new_context(ignore_https_errors=True).new_page()
        try:
            wait_until(lambda: _answers(page), f"{request.param} answers")
            yield page
        finally:
            print((tmp_path / "proxy" / "log").read_text(errors="replace"))
            browser.close()


def _answers(page: Page) -> bool:
    try:
        answer = page.goto(f"https://{NAME}/_stcore/health")
    except Error:
        return False
    return bool(answer and answer.ok)


def test_pages_run_and_their_data_come_through(public: Page, behind: Served) -> None:
    sockets: list[str] = []
    public.on("websocket", lambda socket: sockets.append(socket.url))
    public.goto(f"https://{NAME}/")
    expect(public.locator(".dv-headline")).to_contain_text("Here dropout gains")
    assert public.url.startswith(f"https://{NAME}/lab")
    assert [url.partition("?")[0] for url in sockets] == [f"wss://{NAME}/_stcore/stream"]
    new = len(behind.store.experiments())  # a seed that no other proxy's run had
    public.goto(f"https://{NAME}/lab?preset=classroom&seeds=2&train.steps=60&first_seed={new}")
    press(public, "Run")
    behind.wait_until(
        lambda: [line.state for line in behind.store.experiments()][:1] == ["done"], "the run is done"
    )
    state(public, "done")
    (view_id,) = re.findall(r"run=([0-9a-f]+)", public.url)
    assert fetched(public, f"/live/{view_id}")["status"] == 200
    assert fetched(public, f"/export/{view_id}/csv")["status"] == 200


def test_the_cookie_is_for_https_alone(public: Page) -> None:
    public.goto(f"https://{NAME}/lab")
    expect(public.locator(".dv-headline")).to_be_visible()
    cookies = public.context.cookies()
    (own,) = [one for one in cookies if "dropviz" in one["name"].lower()]
    assert (own["secure"], own["httpOnly"], own["sameSite"]) == (True, True, "Lax")


def test_metrics_stay_inside(public: Page, behind: Served) -> None:
    inside = public.context.request.get(f"{behind.url}/metrics")
    assert "dropviz_" in inside.text()
    public.goto(f"https://{NAME}/lab")
    assert fetched(public, "/metrics")["status"] in (403, 404)


def fetched(page: Page, path: str) -> dict[str, Any]:
    """Status of what the page itself asks for."""
    return page.evaluate("path => fetch(path).then(answer => ({status: answer.status}))", path)
