"""What a visitor sees on a page, and a carried result for it to show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from dropviz.experiment import ExperimentSpec
from dropviz.store import Store
from dropviz.web.readers import Readers


def texts(app: AppTest) -> str:
    kinds = ("title", "header", "subheader", "markdown", "text", "caption", "info", "error")
    return "\n".join(element.value for kind in kinds for element in app.get(kind))


ALWAYS_THERE = {"Measure the time", "Show me around", "Teach this"}


def figures(app: AppTest) -> list[dict[str, Any]]:
    """What the charts that Python drew whole were given."""
    found = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    return [data for data in found if "figure" in data]


def pressable(app: AppTest) -> set[str]:
    """The labels of the buttons that can be pressed, but for those that always can."""
    return {button.label for button in app.button if not button.disabled} - ALWAYS_THERE


def run_in_url(app: AppTest) -> str:
    """AppTest gives what a script set as text, and what it set itself as a list."""
    found = app.query_params["run"]
    return found if isinstance(found, str) else found[0]


def carry(folder: Path, store: Store, engine: Any, spec: ExperimentSpec, name: str) -> None:
    view_id = store.submit(spec, fresh=True)
    engine.run_all()
    payload = json.loads(Readers(store).get(view_id).read(None))
    (folder / f"{name}.json").write_text(json.dumps({"spec": spec.to_table(), "payload": payload}))
