"""Verdicts, tests and contents as HTML, the same in the report and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from dropviz.analysis.claims import SIGNS, Verdict
from dropviz.replication.outcomes import NOT_RUN, Outcome, SettingOutcome
from dropviz.replication.paper import Row, rows

# Text colours that stand out from either ground, light and dark
VERDICT_STYLE = """
.dv-verdict { font-weight: 600; white-space: nowrap }
.dv-green { color: light-dark(#00684c, #5fd3b0) } .dv-amber { color: light-dark(#8a5a00, #f3c063) }
.dv-red { color: light-dark(#b00020, #ff8f8f) } .dv-none { color: light-dark(#4b5563, #b3bac5) }
.dv-tests { padding-left: 1.2rem; margin: 0.3rem 0 } .dv-tests li { margin: 0.25rem 0; overflow-wrap: anywhere }
"""


def verdict_html(verdict: Verdict | None, word: str) -> str:
    """A sign, a word and a colour."""
    sign = SIGNS[verdict] if verdict else "○"
    shown = f'<span aria-hidden="true">{sign}</span> {escape(word)}'
    return f'<span class="dv-verdict dv-{verdict or "none"}">{shown}</span>'


def tests_html(found: Outcome) -> str:
    """Every claim on every setting: its verdict, and its sentence with the interval; one line where nothing has run."""
    lines = [line for setting in found.settings.values() for line in _tests(setting)]
    return f'<ul class="dv-tests">{"".join(lines)}</ul>'


def contents_html(outcomes: Mapping[str, Outcome]) -> str:
    """All rows with their verdicts, each a link to its own place."""
    return f'<ul class="dv-tests">{"".join(_line(row, outcomes.get(row.key)) for row in rows())}</ul>'


def rules(found: Outcome) -> list[str]:
    """The rules by which a row was judged, each once."""
    return list(dict.fromkeys(claim.rule for one in found.settings.values() for claim in one.claims))


def _tests(setting: SettingOutcome) -> list[str]:
    title = escape(setting.title)
    if not any(claim.verdict for claim in setting.claims):
        return [f"<li>{verdict_html(None, NOT_RUN)} – {title}</li>"]
    return [
        f"<li>{verdict_html(claim.verdict, claim.word)} – {title}: {escape(claim.sentence)}</li>"
        for claim in setting.claims
    ]


def _line(row: Row, found: Outcome | None) -> str:
    verdict = verdict_html(found.verdict, found.word) if found else verdict_html(None, NOT_RUN)
    return f'<li>{verdict} – <a href="#{row.key}">{escape(row.where)}: {escape(row.title)}</a></li>'
