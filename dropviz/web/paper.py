"""The Paper page: what Wei, Kakade & Ma 2020 claim, row by row, and what runs of this program say about it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import streamlit as st

from dropviz.charts.replicated import COLUMNS, has_shares, replicated, replicated_rows
from dropviz.experiment import code_version
from dropviz.replication import HOW, NOT_RUN, Outcome, Row, own_results, recorded, rows, work
from dropviz.replication.wording import VERDICT_STYLE, contents_html, rules, tests_html, verdict_html
from dropviz.web.figures import Table, figure

RECORDED = "Recorded"
ADDRESS = "https://arxiv.org/abs/2002.12915"


def page() -> None:
    """Draw the page."""
    st.html(f"<style>{VERDICT_STYLE}</style>")
    st.title("Paper")
    st.write(
        f"Wei, Kakade & Ma, [*The Implicit and Explicit Regularization Effects of Dropout*]({ADDRESS}) (ICML 2020), claim by"
        " claim: what the paper says, and what runs of this program say, with paired seeds and 95 % intervals."
    )
    name, outcomes = _source()
    _provenance(outcomes)
    st.html(contents_html(outcomes))
    for row in rows():
        _row(row, outcomes.get(row.key), name)


def _source() -> tuple[str, Mapping[str, Outcome]]:
    """The recorded results, or those that were computed here, if there are any."""
    sources: dict[str, Mapping[str, Outcome]] = {RECORDED: recorded()}
    sources |= {f"Run here, {scale}": found for scale, found in own_results().items()}
    if len(sources) == 1:
        return RECORDED, sources[RECORDED]
    chosen = st.segmented_control(
        "Results",
        list(sources),
        default=RECORDED,
        key="paper_results",
        help="Recorded: what comes with the program.",
    )
    return chosen or RECORDED, sources[chosen or RECORDED]


def _provenance(outcomes: Mapping[str, Outcome]) -> None:
    if not outcomes:
        st.info(
            "Nothing has been replicated yet. `dropviz replicate` on the server does so, and says how far it is."
        )
        return
    first = next(iter(outcomes.values()))
    made = f"{first.scale} scale · code {first.versions.get('code', '?')} · torch {first.versions.get('torch', '?')}"
    changed = first.versions.get("code") != code_version()
    again = " · the program's code has changed since; `dropviz replicate` computes anew" if changed else ""
    st.caption(f"Computed at {made}{again}")


def _row(row: Row, found: Outcome | None, source: str) -> None:
    st.header(f"{row.where}: {row.title}", anchor=row.key)
    st.write(row.claim)
    ours, papers = st.columns([2, 1], gap="large")
    with ours:
        st.subheader("Here", anchor=False)
        if found is None:
            st.html(verdict_html(None, NOT_RUN))
        else:
            st.html(f"<p>{verdict_html(found.verdict, found.word)}. {found.summary}</p>{tests_html(found)}")
    with papers:
        st.subheader("In the paper", anchor=False)
        for line in row.paper:
            st.write(line)
        st.caption(row.meaning)
    if found is not None and has_shares(found):
        chart, table = drawn(found.model_dump_json())
        figure(
            f"paper/{source}/{row.key}",
            chart,
            table,
            title=f"{row.where}: share of dropout's gain",
            subtitle="0 % is none, 100 % is dropout; bars are 95 % intervals",
            alt=f"{row.title}: how much of dropout's gain over no dropout each arm reaches, on each setting. {found.summary}",
        )
    with st.expander("The rule, and the paper's own size"):
        _details(row, found)


def _details(row: Row, found: Outcome | None) -> None:
    for rule in rules(found) if found is not None else []:
        st.write(rule)
    st.write("At small scale here, and with the paper's own settings:")
    commands = [
        f"dropviz replicate --only {row.key} --out {row.key}",
        f"dropviz replicate --scale full --only {row.key} --out {row.key}-full",
    ]
    st.code("\n".join(commands), language="bash", wrap_lines=True)
    st.write(f"The second takes {work(row, 'full')}; the first {work(row, 'small')}.")
    st.caption(
        f"{HOW} `--estimate` measures it on the machine at hand. Texts have to be fetched first: `dropviz data fetch ptb`."
    )


@lru_cache(maxsize=64)
def drawn(outcome: str) -> tuple[str, Table]:
    """The chart of an outcome, which is given as JSON, with its table."""
    found = Outcome.model_validate_json(outcome)
    return replicated(found).to_json(), Table(columns=COLUMNS, rows=replicated_rows(found))
