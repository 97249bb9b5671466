"""The Paper page: what Wei, Kakade & Ma 2020 claim, row by row, and what runs of this program say about it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache

import streamlit as st

from dropviz.charts.replicated import COLUMNS, has_shares, replicated, replicated_rows
from dropviz.experiment import code_version
from dropviz.replication import HOW, NOT_RUN, Outcome, Row, own_results, recorded, row, rows, work
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
    for one in rows():
        _row(one, outcomes.get(one.key), name)


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
    codes = list(dict.fromkeys(one.versions.get("code", "?") for one in outcomes.values()))
    made = f"{first.scale} scale · code {', '.join(codes)} · torch {first.versions.get('torch', '?')}"
    changed = codes != [code_version()]  # rows that were computed at several times may be of several versions
    again = " · the program's code has changed since; `dropviz replicate` computes anew" if changed else ""
    st.caption(f"Computed at {made}{again}")
    claims = [claim for found in outcomes.values() for one in found.settings.values() for claim in one.claims]
    lacking = sum(claim.verdict is None for claim in claims)
    if lacking:
        st.info(
            f"{lacking} of {len(claims)} tests have not run. `dropviz replicate` runs them, and goes on where it was stopped."
        )


def _row(claimed: Row, found: Outcome | None, source: str) -> None:
    st.header(f"{claimed.where}: {claimed.title}", anchor=claimed.key)
    st.write(claimed.claim)
    ours, papers = st.columns([2, 1], gap="large")
    with ours:
        st.subheader("Here", anchor=False)
        if found is None:
            st.html(verdict_html(None, NOT_RUN))
        else:
            st.html(f"<p>{verdict_html(found.verdict, found.word)}. {found.summary}</p>{tests_html(found)}")
    with papers:
        st.subheader("In the paper", anchor=False)
        for line in claimed.paper:
            st.write(line)
        st.caption(claimed.meaning)
    if found is not None and has_shares(found):
        chart, table = drawn(found.model_dump_json())
        figure(
            f"paper/{source}/{claimed.key}",
            chart,
            table,
            title=f"{claimed.where}: share of dropout's gain",
            subtitle="0 % is none, 100 % is dropout; bars are 95 % intervals",
            alt=f"{claimed.title}: how much of dropout's gain over no dropout each arm reaches, on each setting. {found.summary}",
        )
    with st.expander("The rule, and the paper's own size"):
        _details(claimed, found)


def _details(claimed: Row, found: Outcome | None) -> None:
    for rule in rules(found) if found is not None else []:
        st.write(rule)
    st.write("At small scale here, and with the paper's own settings:")
    commands = [
        f"dropviz replicate --only {claimed.key} --out {claimed.key}",
        f"dropviz replicate --scale full --only {claimed.key} --out {claimed.key}-full",
    ]
    st.code("\n".join(commands), language="bash", wrap_lines=True)
    st.write(cost(claimed.key))
    st.caption(
        f"{HOW} `--estimate` measures it on the machine at hand. Texts have to be fetched first: `dropviz data fetch ptb`."
    )


@cache
def cost(key: str) -> str:
    """What a row's two commands take, in a sentence; reading all its specs takes too long for every look at the page."""
    return f"The second takes {work(row(key), 'full')}; the first {work(row(key), 'small')}."


@lru_cache(maxsize=64)
def drawn(outcome: str) -> tuple[str, Table]:
    """The chart of an outcome, which is given as JSON, with its table."""
    found = Outcome.model_validate_json(outcome)
    return replicated(found).to_json(), Table(columns=COLUMNS, rows=replicated_rows(found))
