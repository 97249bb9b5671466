"""A run as one HTML file that needs nothing else: the page's own boards with their numbers and plotly.js inside."""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from string import Template
from typing import Any

from dropviz import __version__
from dropviz.analysis.headline import headline
from dropviz.analysis.score import score_of
from dropviz.charts import Page
from dropviz.experiment import ExperimentSpec, SpecError
from dropviz.experiment.links import PRESET, query_of
from dropviz.export import decomposition, finished_values, series_of, summary
from dropviz.store import Experiment, Store
from dropviz.web.payload import for_page
from dropviz.web.reader import Reader

PAGES: tuple[Page, ...] = ("lab", "curvature")


def report(store: Store, experiment: Experiment) -> bytes:
    """The file: headline, charts with their tables, results, settings and versions. About 5 MB, most of it plotly.js."""
    from dropviz.web import board
    from dropviz.web.component import source

    spec = experiment.spec
    finished = finished_values(experiment, series_of(store, experiment))
    found = summary(experiment, finished, store.provenance(experiment))
    said = headline(decomposition(spec, finished), spec)
    pages = PAGES if spec.observe.statistics != 0 or spec.observe.refreshes else PAGES[:1]
    stored = _stored(store, experiment) | {
        "boards": {
            page: board.contents(spec, page)
            | {"view": "report", "state": "example", "measured": 0, "heard": 0, "base": "", "plotly": ""}
            for page in pages
        }
    }
    filled = Template(_text("report.html")).substitute(
        title=html.escape(spec.title()),
        kind=html.escape(spec.title()),
        headline=html.escape(said.text),
        note=html.escape(said.note),
        about=html.escape(_about(experiment, found)),
        results=_results(spec, found),
        command=html.escape(_command(spec)),
        settings=_table(("setting", "value"), _settings(spec)),
        versions=_table(("", "version"), found["versions"].items()),
        css=source("live_board", ".css") + _text("report.css"),
        stored=json.dumps(stored, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace(
            "<", "\\u003c"
        ),
        plotly=_plotly(),
        board=source("live_board", ".js").replace("export default function", "function mount", 1),
        report=_text("report.js"),
    )
    return filled.encode()


def _stored(store: Store, experiment: Experiment) -> dict[str, Any]:
    """What the data routes would answer: a payload a page, and each array."""
    reader = Reader(store, experiment.id)
    payload = json.loads(reader.read(None))
    arrays = sorted({(kind, step) for _, kind, step in payload["arrays"]})
    shown = payload | {"state": "example", "progress": payload["progress"] | {"message": ""}}
    return {
        "live": {page: for_page(shown, page) for page in PAGES},
        "arrays": {f"{kind}/{step}": json.loads(reader.arrays(kind, step)[0]) for kind, step in arrays},
    }


def _about(experiment: Experiment, found: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(experiment.created_at, UTC)
    ended = "" if experiment.state == "done" else f" It has not run to its end: {experiment.state}."
    failed = "".join(f" {arm} failed: {reason}" for arm, reason in found.get("failed", {}).items())
    by = f"DropViz {found['versions'].get('dropviz', __version__)}"
    where = f" on {found['device']}" if found["device"] else ""
    return f"Run {experiment.id}, of {when:%d %B %Y}, computed by {by}{where}.{ended}{failed}"


def _results(spec: ExperimentSpec, found: dict[str, Any]) -> str:
    metric = f"test/{spec.data.task.score}"
    score = score_of(spec.data.task)
    lines = []
    for arm in spec.arms:
        one = found["arms"].get(arm, {}).get(metric)
        if one is None:
            lines.append((arm, "–", "–", "0"))
            continue
        spread = "–" if one["se"] is None else f"{score.factor * one['se']:.3g}"
        lines.append((arm, f"{score.factor * one['mean']:.4g}", spread, str(one["n"])))
    unit = f" ({score.unit})" if score.unit else ""
    return _table(
        ("arm", f"{metric.replace('/', ' ')}, mean over seeds{unit}", "standard error", "seeds"), lines
    )


def _settings(spec: ExperimentSpec) -> list[tuple[str, str]]:
    """Every setting by its dotted key."""
    lines: list[tuple[str, str]] = []
    for key, value in spec.to_table().items():
        entries = value.items() if isinstance(value, dict) else (("", value),)
        for name, entry in entries:
            shown = ", ".join(map(str, entry)) if isinstance(entry, list) else str(entry)
            lines.append((f"{key}.{name}" if name else key, shown))
    return lines


def _command(spec: ExperimentSpec) -> str:
    """The command line that runs it again."""
    try:
        settings = query_of(spec)
    except SpecError:  # too many for a line
        return "dropviz run spec.json"
    parts = ["dropviz", "run", "--preset", settings.pop(PRESET)]
    for key, text in settings.items():
        parts += ["--set", f"{key}={text}"]
    return shlex.join(parts)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in line) + "</tr>" for line in lines
    )
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _text(name: str) -> str:
    return (resources.files("dropviz.web") / "browser" / "report" / name).read_text("utf-8")


@cache
def _plotly() -> str:
    text = (resources.files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")
    return text.replace("</script", "<\\/script")
