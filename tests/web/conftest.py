"""A store of its own, somebody who plays the engine, and somebody who looks at pages and routes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import numpy as np
import pytest
from starlette.types import ASGIApp
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from dropviz.experiment import ExperimentSpec, evaluation_steps, preset
from dropviz.store import Claim, Point, SnapshotRow, Store
from dropviz.store.records import Outcome
from dropviz.web import component, examples, live, reader
from dropviz.web.visitor import COOKIE
from dropviz.web.whatif import reader as sweep_reader
from tests.web.loops import run_apart

PAGES = Path(__file__).resolve().parents[2] / "pages"
ME = "0123456789abcdef" * 2
LEVEL = {"none": 0.60, "dropout": 0.70, "dropout-8": 0.68, "explicit+implicit": 0.69}
METRICS = ("train/objective", "validation/loss", "validation/accuracy")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of its own."""
    folder = tmp_path / "data"
    monkeypatch.setenv("DROPVIZ_DATA", str(folder))
    monkeypatch.setenv("DROPVIZ_DEVICE", "cpu")
    monkeypatch.delenv("DROPVIZ_STORE", raising=False)
    return folder


@pytest.fixture
def store(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The web process's own store in it, looked at as often as anybody asks."""
    monkeypatch.setattr(reader, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(sweep_reader, "LOOK_SECONDS", 0.0)
    yield live.store()
    live.store().close()


@pytest.fixture
def spec() -> ExperimentSpec:
    """Three arms, three seeds, a point every 10 of 40 steps."""
    arms = 'arms=["none", "dropout", "dropout-8"]'
    return preset("noisy-digits").with_settings(
        [arms, "seeds=3", "train.steps=40", "model.widths=[8]", "observe.evaluations=4"]
    )


@pytest.fixture
def results(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package's folder of carried results, empty."""
    folder = tmp_path / "package" / "results"
    folder.mkdir(parents=True)
    monkeypatch.setattr(examples, "resources", SimpleNamespace(files=lambda package: folder.parent))
    examples.example.cache_clear()
    yield folder
    examples.example.cache_clear()


@dataclass
class FakeEngine:
    """Claims jobs and writes points as an engine does, without training anything."""

    store: Store
    records: dict[int, int] = field(default_factory=dict)

    def start(self) -> Claim:
        """Claim the next job and begin it where it was."""
        claim = self.store.claim("worker")
        assert claim is not None
        seq = self.records.get(claim.job_id, 0) - 1
        self.store.begin(claim.job_id, claim.attempt, seq=seq, step=0, pid=1, device="cpu")
        return claim

    def rewind(self, claim: Claim, seq: int) -> Claim:
        """Lose the child, and start the job again with only the records up to ``seq``."""
        assert self.store.finish(claim.job_id, claim.attempt, "crashed", error="It died")
        self.records[claim.job_id] = seq + 1
        again = self.start()
        assert again.job_id == claim.job_id
        return again

    def write(self, claim: Claim, step: int, values: Mapping[str, np.ndarray]) -> None:
        """One moment: metric → a value a seed; bytes, and whatever has more axes, are arrays."""
        written = []
        for name, array in values.items():
            seq = self.records.setdefault(claim.job_id, 0)
            self.records[claim.job_id] += 1
            if array.dtype == np.uint8 or array.ndim > 1:
                written.append(SnapshotRow(seq=seq, step=step, name=name, array=array))
            else:
                written.append(Point(seq=seq, step=step, name=name, values=array))
        self.store.append(claim.job_id, claim.attempt, written, step=step, steps_per_second=100.0)

    def train(self, claim: Claim, steps: list[int] | None = None) -> None:
        """The usual curves at these steps (by default all), and the test split at the last one."""
        spec = ExperimentSpec.from_table(json.loads(claim.spec))
        for step in evaluation_steps(spec) if steps is None else steps:
            last = step == spec.train.steps
            names = METRICS + (("test/loss", "test/accuracy") if last else ())
            self.write(claim, step, {name: value(claim.arm, claim.seeds, step, name) for name in names})

    def finish(self, claim: Claim, outcome: Outcome = "done", error: str | None = None) -> None:
        """End the attempt."""
        assert self.store.finish(claim.job_id, claim.attempt, outcome, error=error)

    def run_all(self) -> None:
        """Everything that is queued, to its end."""
        while self.store.has_queued():
            claim = self.start()
            self.train(claim)
            self.finish(claim)


def value(arm: str, seeds: tuple[int, ...], step: int, name: str) -> np.ndarray:
    """Accuracies around the arm's level, better with each step; losses are what is missing to 1."""
    level = LEVEL.get(arm, 0.65) - 0.2 * (1 - step / 40)
    accuracy = np.array([level + 0.004 * ((7 * seed + len(arm)) % 5 - 2) for seed in seeds])
    return 1 - accuracy if name.endswith(("loss", "objective")) else accuracy


@pytest.fixture
def engine(store: Store) -> FakeEngine:
    return FakeEngine(store)


@pytest.fixture
def cookies(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the browser sends: AppTest has none, so this takes its place; change it to be somebody else."""
    sent = {COOKIE: ME}
    monkeypatch.setattr(ContextProxy, "cookies", property(lambda context: sent))
    return sent


@pytest.fixture
def me(cookies: dict[str, str]) -> str:
    """The id of the visitor who looks at the pages."""
    return cookies[COOKIE]


Visit = Callable[..., AppTest]


@pytest.fixture
def visit(store: Store, cookies: dict[str, str]) -> Visit:
    """Open a page in a session of its own: ``visit("0_Lab", run="…")``."""

    def opened(page: str, **query: str) -> AppTest:
        component.component.cache_clear()  # each AppTest has a registry of components of its own
        app = AppTest.from_file(PAGES / f"{page}.py", default_timeout=30)
        for name, text in query.items():
            app.query_params[name] = text
        return app.run()

    return opened


@pytest.fixture
def boards() -> Callable[[AppTest], list[dict[str, Any]]]:
    """What the live boards on a page were given."""

    def found(app: AppTest) -> list[dict[str, Any]]:
        found = [json.loads(element.proto.json) for element in app.get("bidi_component")]
        return [data for data in found if "view" in data]

    return found


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an HTTP client gets."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The only header of this name."""
        (found,) = (text for key, text in self.headers if key == name)
        return found


@pytest.fixture
def get() -> Callable[..., Answer]:
    """GET from an ASGI application: ``get(app, "/path", query="cursor=1", scheme="https", cookie="…")``."""

    def ask(app: ASGIApp, path: str, *, query: str = "", scheme: str = "http", **headers: str) -> Answer:
        pairs = [(name.replace("_", "-").encode(), text.encode("latin-1")) for name, text in headers.items()]
        scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}
        scope |= {"scheme": scheme, "headers": pairs, "http_version": "1.1", "root_path": ""}
        sent: list[Any] = []

        asked: list[bool] = []

        async def receive() -> dict[str, Any]:
            if asked:
                await anyio.sleep_forever()  # the client stays
            asked.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        async def call() -> None:
            await app(scope, receive, send)

        run_apart(call)
        found = [(key.decode(), text.decode()) for key, text in sent[0]["headers"]]
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(status=sent[0]["status"], headers=found, body=body)

    return ask
