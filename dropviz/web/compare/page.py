"""The Compare page: runs are chosen on the left and compared beside it; the URL holds which, and how."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dropviz.web import examples
from dropviz.web.compare import parts
from dropviz.web.compare.browser import browser, set_runs
from dropviz.web.compare.runs import MOST_RUNS, Run, chosen_runs
from dropviz.web.plain import plain
from dropviz.web.presses import pressed
from dropviz.web.shown import go_to

LOOK_SECONDS = 2
MOST_HEADED = 12  # runs that are named above the comparison


def page() -> None:
    """Draw the page for the runs that the URL names."""
    view_ids, too_many = named_runs()
    with st.sidebar:
        browser(view_ids, MOST_RUNS)
    if too_many:
        st.warning(f"This link names more than {MOST_RUNS} runs: the first {MOST_RUNS} are compared.")
    runs, problems = chosen_runs(view_ids)
    for problem in problems:
        st.warning(plain(problem), icon=":material/link_off:")
    if not runs:
        _empty()
        return
    live = any(run.live for run in runs)
    st.fragment(_compared, run_every=LOOK_SECONDS if live else None)(view_ids)


def named_runs() -> tuple[list[str], bool]:
    """The runs in the URL, each once, and whether there are too many; coming back from another page, those of before."""
    if "runs" not in st.query_params and st.session_state.get("compared"):
        st.query_params["runs"] = ",".join(st.session_state["compared"])
    named = list(dict.fromkeys(one for one in st.query_params.get("runs", "").split(",") if one))
    st.session_state["compared"] = named[:MOST_RUNS]
    return named[:MOST_RUNS], len(named) > MOST_RUNS


def _empty() -> None:
    st.header("Compare runs")
    st.write(
        "Tick runs on the left. Their curves are laid over each other, their scores are subtracted seed by seed, and what they"
        " cost stands beside it. The link in the address bar shows the same to everybody who opens it."
    )
    names = examples.example_names()
    if len(names) > 1:
        st.button(
            "Compare the examples",
            key="compare-examples",
            on_click=set_runs,
            args=([f"{examples.PREFIX}{name}" for name in names],),
        )


def _compared(view_ids: Sequence[str]) -> None:
    """All of the page beside the list; drawn anew by itself while a run is under way, and whole when the last has ended."""
    runs, _ = chosen_runs(view_ids)
    if not any(run.live for run in runs) and st.session_state.pop("compare-live", False):
        st.rerun()
    st.session_state["compare-live"] = any(run.live for run in runs)
    _heading(runs)
    arms = parts.chosen_arms(runs)
    if not arms:
        st.caption("Choose an arm or more.")
        return
    parts.versions(runs)
    parts.sentences(runs)
    reference = parts.chosen_reference(runs, arms)
    parts.differences(runs, arms, reference)
    parts.curves(runs, arms)
    parts.costs(runs, arms, reference)
    parts.settings(runs)


def _heading(runs: Sequence[Run]) -> None:
    st.header("Compare runs" if len(runs) > 1 else "One run: tick another to compare")
    with st.container(gap=None):
        for run in runs[:MOST_HEADED]:
            _line(run)
    if len(runs) > MOST_HEADED:
        st.caption(f"and {len(runs) - MOST_HEADED} more, ticked on the left")


def _line(run: Run) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", key=f"row-heading-{run.number}"
    ):
        st.markdown(f"**{run.number}** · {plain(run.name)} · {run.state}", width="content")
        if not run.id.startswith(examples.PREFIX) and pressed(
            "Open in the Lab",
            key=f"open/{run.id}",
            type="tertiary",
            icon=":material/open_in_new:",
            help="Open in the Lab",
        ):
            go_to("0_Lab.py", run.id)
        st.button(
            f"Remove run {run.number}",
            key=f"remove/{run.id}",
            type="tertiary",
            icon=":material/close:",
            help=f"Remove run {run.number} from the comparison",
            on_click=_remove,
            args=(run.id,),
        )


def _remove(view_id: str) -> None:
    set_runs([one for one in named_runs()[0] if one != view_id])
