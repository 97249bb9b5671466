"""Where inputs are tried: a store with a finished run and a class, a mounted folder with traps, and the server's routes."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from starlette.applications import Starlette
from starlette.testclient import TestClient

from dropviz.classes import ClassDefinition
from dropviz.experiment import ExperimentSpec, preset
from dropviz.export import archive, record
from dropviz.store import Store
from dropviz.web import exports, live, server
from dropviz.web.senders import Pace
from tests.export.played import finished

OWNER = "feedfacefeedfacefeedfacefeedface"
UNPACED = Pace(burst=1_000_000, rate=1_000_000)  # or one person who asks so often would see refusals only
SPEC = ('arms=["none", "dropout"]', "seeds=2", "train.steps=40", "model.widths=[8]")


@dataclass(frozen=True, kw_only=True)
class World:
    """See above; ``files`` are the two parts of the exported run."""

    folder: Path
    store: Store
    spec: ExperimentSpec
    run: str
    code: str
    archive: bytes
    files: tuple[bytes, bytes]
    client: TestClient


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Set it up in a folder, to which the settings point meanwhile."""
    mounted = folder / "mounted"
    mounted.mkdir(parents=True)
    (mounted / "good.csv").write_text("a,b,c\n" + "".join(f"{n},{n * n},{n % 2}\n" for n in range(60)))
    (folder / "secret.csv").write_text("a,b\n1,2\n")
    (mounted / "out.csv").symlink_to(folder / "secret.csv")
    (mounted / "circle").symlink_to(mounted / "circle")
    (mounted / "up").symlink_to(folder)
    wanted = {"DROPVIZ_DATA": str(folder / "data"), "DROPVIZ_FILES": str(mounted), "DROPVIZ_DEVICE": "cpu"}
    wanted |= {"DROPVIZ_MAX_STARTS": "1000000"}
    former = {key: text for key, text in os.environ.items() if key.startswith("DROPVIZ_")}
    for key in former:
        del os.environ[key]
    os.environ |= wanted
    temporary, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        with ExitStack() as stack:
            for module, pace in ((exports, "PACE"), (live, "ARRAYS_PACE"), (live, "LIVE_PACE")):
                stack.enter_context(patch.object(module, pace, UNPACED))
            yield _filled(folder)
    finally:
        for key in wanted:
            del os.environ[key]
        os.environ |= former
        tempfile.tempdir = temporary


def _filled(folder: Path) -> World:
    store = live.store()
    spec = preset("noisy-digits").with_settings(SPEC)
    for arm in spec.arms:
        assert arm in ("none", "dropout")
    experiment = finished(store, spec)
    out = io.BytesIO()
    archive.write_zip(out, archive.members(store, experiment))  # type: ignore[arg-type]
    classroom = store.classes.create(ClassDefinition.of(spec, title="Ours", open=("p",), seeds=2), OWNER)
    return World(
        folder=folder,
        store=store,
        spec=spec,
        run=experiment.id,
        code=store.classes.code(classroom),
        archive=out.getvalue(),
        files=record.written(store, experiment),
        client=TestClient(
            Starlette(routes=server.routes(), middleware=server.middleware()),
            base_url="http://localhost",
            raise_server_exceptions=False,
            follow_redirects=False,
        ),
    )


def zipped(run: dict[str, object] | bytes, numbers: bytes) -> bytes:
    """An exported run out of its two parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("run.json", run if isinstance(run, bytes) else json.dumps(run))
        file.writestr("run.safetensors", numbers)
    return out.getvalue()
