"""What is secret stays out of the log, whatever goes wrong; what goes wrong stays out of the answers."""

from __future__ import annotations

from urllib.parse import quote

from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec
from tests.browser.served import Served
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
