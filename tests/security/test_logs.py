"""What is secret stays out of the log, whatever goes wrong; what goes wrong stays out of the answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec
from tests.browser.served import Served, serving
from tests.houses import free_port
from tests.security.conftest import ask

OWNER = "feedface" * 4


def test_neither_cookies_nor_the_keys_of_classes_are_logged(served: Served, spec: ExperimentSpec) -> None:
    classroom = served.store.classes.create(ClassDefinition.of(spec, title="Ours", seeds=1), OWNER)
    join, teach = (served.store.classes.code(classroom, purpose) for purpose in ("join", "teach"))  # type: ignore[arg-type]
    run = served.store.submit(spec, owner=OWNER)
    cookie = f"dropviz_visitor={OWNER}; _streamlit_user=planted-account"
    for path in (
        f"/live/{run}",
        f"/live/class-{join}",
        f"/live/class-{teach}",
        f"/class?teach={teach}",
        f"/join/{join}",
        f"/export/{run}/nothing?token=planted-token",
        f"/live/{quote(OWNER)}",
    ):
        status, _, text = ask(served, path, Cookie=cookie, Authorization="Bearer planted-token")
        assert status < 500
        assert "Traceback" not in text
    served.store.request(run, "stop")
    logged = (served.folder / "serve.log").read_bytes()
    secret = (served.folder / "dropviz.secret").read_bytes()
    for planted in (OWNER, teach, join, "planted-account", "planted-token", secret.hex()):
        assert planted.encode() not in logged
    assert secret not in logged


def test_the_secret_of_the_classes_is_its_users_alone(served: Served, spec: ExperimentSpec) -> None:
    classroom = served.store.classes.create(ClassDefinition.of(spec, title="Ours", seeds=1), OWNER)
    served.store.classes.code(classroom)
    assert (served.folder / "dropviz.secret").stat().st_mode & 0o077 == 0


def test_tokens_of_the_server_are_not_logged(tmp_path: Path) -> None:
    admin, metrics = "planted-admin-token-0123456789", "planted-metrics-token-0123456789"
    tokens = {"DROPVIZ_ADMIN_TOKEN": admin, "DROPVIZ_METRICS": "1", "DROPVIZ_METRICS_TOKEN": metrics}
    with serving(tmp_path / "data", **tokens, DROPVIZ_LOG_LEVEL="debug") as served:
        assert ask(served, "/metrics", Authorization=f"Bearer {metrics}")[0] == 200
        for asked in (
            ask(served, "/metrics", Authorization="Bearer planted-guess"),
            ask(served, f"/metrics?token={metrics}"),
            ask(served, f"/system?token={admin}"),
        ):
            assert asked[0] < 500
            assert admin not in asked[2]
            assert metrics not in asked[2]
        logged = "".join(path.read_text(errors="replace") for path in (tmp_path / "data").glob("*.log"))
    assert logged
    assert "planted" not in logged


@pytest.mark.parametrize("name", ["serve", "doctor", "engine"])
def test_the_databases_password_is_shown_nowhere(tmp_path: Path, name: str) -> None:
    command = [name, "--port", str(free_port())] if name == "serve" else [name]
    password = "planted-password"
    place = f"127.0.0.1:{free_port()}"
    url = f"postgresql+psycopg://dropviz:{password}@{place}/dropviz?connect_timeout=2"
    here = os.environ | {"DROPVIZ_DATA": str(tmp_path), "DROPVIZ_STORE": url, "DROPVIZ_LOG_LEVEL": "debug"}
    done = subprocess.run(
        [sys.executable, "-m", "dropviz", *command], env=here, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert place in done.stdout + done.stderr  # which database it is, it says
    assert password not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
