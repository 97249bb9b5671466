"""A replication as one HTML file that needs nothing else: verdicts, sentences, tables and charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

import plotly.io

from dropviz.charts import template
from dropviz.charts.replicated import COLUMNS, has_shares, replicated, replicated_rows
from dropviz.replication import Outcome, Row, Scale, rows
from dropviz.replication.wording import VERDICT_STYLE, contents_html, rules, tests_html, verdict_html

STYLE = """
body { font: 16px/1.5 'Source Sans', 'Segoe UI', system-ui, sans-serif; color: #1c232d; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin: 2.5rem 0 .3rem }
small { color: #4b5563 } table { border-collapse: collapse; font-size: .9rem; display: block; overflow-x: auto }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #e8ebef; font-variant-numeric: tabular-nums }
summary { cursor: pointer }
"""


def report(outcomes: Mapping[str, Outcome], scale: Scale) -> str:
    """The file's text; plotly.js is in it, so that no network is needed to read it."""
    parts = [f"<h1>Replication of Wei, Kakade &amp; Ma 2020, {scale} scale</h1>"]
    parts.append(
        "<p>Green: every test holds. Red: one at least is against the claim. Amber: one at least is undecided, or has not run."
        " All intervals are 95 %, claims are judged one by one.</p>"
    )
    parts.append(contents_html(outcomes))
    drawn = False
    for row in rows():
        found = outcomes.get(row.key)
        if found is None:
            continue
        parts += _row(row, found)
        if has_shares(found):
            parts.append(_chart(found, with_script=not drawn))
            drawn = True
        parts.append(_table(found))
    versions = next((one.versions for one in outcomes.values()), {})
    parts.append(
        f"<p><small>{escape(', '.join(f'{name} {what}' for name, what in versions.items()))}</small></p>"
    )
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Replication, {scale} scale</title><style>:root {{ color-scheme: light }}{STYLE}{VERDICT_STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _row(row: Row, found: Outcome) -> Iterator[str]:
    yield f'<h2 id="{row.key}">{escape(row.where)}: {escape(row.title)}</h2>'
    yield f"<p>{escape(row.claim)}</p>"
    yield f"<p>{verdict_html(found.verdict, found.word)}. {escape(found.summary)}</p>"
    yield tests_html(found)
    if row.paper:
        yield f"<p><small>The paper: {escape(' '.join(row.paper))}</small></p>"
    yield f"<p><small>What it means: {escape(row.meaning)}</small></p>"
    yield f"<p><small>Rule: {escape(' '.join(rules(found)))}</small></p>"


def _chart(found: Outcome, *, with_script: bool) -> str:
    figure = replicated(found)
    figure.update_layout(template=template("light"))
    drawn: str = plotly.io.to_html(
        figure, include_plotlyjs=with_script, full_html=False, config={"displayModeBar": False}
    )
    return drawn


def _table(found: Outcome) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS)
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in line) for line in replicated_rows(found)]
    rows_ = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<details><summary>Table</summary><table><thead><tr>{head}</tr></thead><tbody>{rows_}</tbody></table></details>"
