"""The pages by whatever address: each is drawn by Streamlit's own script runner, and none may fail."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

from hypothesis import strategies as st
from streamlit.runtime.context import ContextProxy  # noqa: TID251
from streamlit.testing.v1 import AppTest  # noqa: TID251

from dropviz.web import component
from tests.fuzz import inputs
from tests.fuzz.world import World

PAGES = sorted((Path(__file__).resolve().parents[2] / "pages").glob("[0-9]*.py"))
NAMES = (
    "run", "runs", "class", "teach", "preset", "lesson", "step", "sweep", "question", "arms", "seeds", "p", "data", "model",
    "show", "guess", "reference", "metric", "along", "panels", "log", "smoothing", "unit", "embed",
)  # fmt: skip
Address = tuple[Path, dict[str, str]]


def addresses(world: World) -> st.SearchStrategy[Address]:
    """A page with parameters: real ones, real ones in wrong places, and anything."""
    run = world.run
    real = [
        "0" * 32,
        run,
        f"{run},{run}",
        f"{run}," * 60,
        "example-classroom",
        world.code,
        f"class-{world.code}",
    ]
    real += [
        "classroom",
        "none,dropout",
        "dropout",
        "predict",
        "run",
        "0",
        "-1",
        "0.5",
        "one",
        "seconds",
        "true",
    ]
    texts = st.one_of(st.sampled_from(real), inputs.short, inputs.numbers.map(str))
    # A browser sends UTF-8, in which there are no halves of surrogate pairs.
    sent = texts.map(lambda text: text.encode("utf-8", "replace").decode())
    names = st.one_of(
        st.sampled_from(NAMES), inputs.short.map(lambda name: name.encode("utf-8", "replace").decode())
    )
    return st.tuples(st.sampled_from(PAGES), st.dictionaries(names, sent, max_size=4))


def look(address: Address) -> None:
    """Open it as somebody who was never here."""
    page, query = address
    component.component.cache_clear()  # each AppTest has a registry of components of its own
    app = AppTest.from_file(page, default_timeout=60)
    for name, text in query.items():
        app.query_params[name] = text
    with mock.patch.object(ContextProxy, "cookies", {}):  # AppTest has none of its own
        app.run()
    assert not app.exception, (page.name, query, [one.value for one in app.exception])
    shown = "\n".join(
        str(element.value) for kind in ("markdown", "error", "warning", "info") for element in app.get(kind)
    )
    assert "Traceback" not in shown
