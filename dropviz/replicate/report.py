"""A replication as one HTML file that needs nothing else: verdicts, sentences, tables and charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

import plotly.io

from dropviz.charts import template
from dropviz.charts.replicated import COLUMNS, has_shares, replicated, replicated_rows
from dropviz.replication import Outcome, Row, Scale, rows

SIGNS = {"green": "✔", "amber": "?", "red": "✘", None: "–"}
STYLE = """
body { font: 16px/1.5 'Source Sans', 'Segoe UI', system-ui, sans-serif; color: #1c232d; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin: 2.5rem 0 .3rem } .verdict { font-weight: 600 } .green { color: #00684c } .amber { color: #8a5a00 } .red { color: #b00020 }
.none, small { color: #4b5563 } table { border-collapse: collapse; font-size: .9rem; display: block; overflow-x: auto }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #e8ebef; font-variant-numeric: tabular-nums }
li { margin: .2rem 0 } summary { cursor: pointer }
"""


def report(outcomes: Mapping[str, Outcome], scale: Scale) -> str:
    """The file's text; plotly.js is in it, so that no network is needed to read it."""
    parts = [f"<h1>Replication of Wei, Kakade &amp; Ma 2020, {scale} scale</h1>"]
    parts.append(
        "<p>Green: every test holds. Red: one at least is against the claim. Amber: the seeds leave one at least undecided."
        " All intervals are 95 %, claims are judged one by one.</p>"
    )
    parts += [_contents(outcomes)]
    known = [row for row in rows() if row.key in outcomes]
    drawn = False
    for row in known:
        found = outcomes[row.key]
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
        f"<title>Replication, {scale} scale</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def _contents(outcomes: Mapping[str, Outcome]) -> str:
    lines = [
        f'<li><a href="#{row.key}">{escape(row.where)}: {escape(row.title)}</a> – {_verdict(outcomes[row.key])}</li>'
        for row in rows()
        if row.key in outcomes
    ]
    return f"<ul>{''.join(lines)}</ul>"


def _verdict(found: Outcome) -> str:
    return f'<span class="verdict {found.verdict or "none"}">{SIGNS[found.verdict]} {found.word}</span>'


def _row(row: Row, found: Outcome) -> Iterator[str]:
    yield f'<h2 id="{row.key}">{escape(row.where)}: {escape(row.title)}</h2>'
    yield f"<p>{escape(row.claim)}</p><p>{_verdict(found)} {escape(found.summary)}</p>"
    yield "<ul>"
    for setting in found.settings.values():
        for claim in setting.claims:
            sign = (
                f'<span class="verdict {claim.verdict or "none"}">{SIGNS[claim.verdict]} {claim.word}</span>'
            )
            yield f'<li title="{escape(claim.rule)}">{sign} – {escape(setting.title)}: {escape(claim.sentence)}</li>'
    yield "</ul>"
    yield f"<p><small>The paper: {escape(' '.join(row.paper))}</small></p>" if row.paper else ""
    yield f"<p><small>{escape(row.meaning)}</small></p>"


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
