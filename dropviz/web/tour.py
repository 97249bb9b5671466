"""A walk around the Lab for who is here for the first time: asked once, to be had again from the sidebar."""

from __future__ import annotations

import streamlit as st

from dropviz.web.component import component

STOPS = (
    {
        "at": ".dv-headline",
        "title": "The answer, in one sentence",
        "text": "How much dropout gains here, and how much of that is its explicit effect, with 95 % intervals.",
    },
    {
        "at": "[data-chart=ladder]",
        "title": "Where the gain comes from",
        "text": "One row an arm, one dot a seed. The light area is the explicit effect, the darker one the implicit effect.",
    },
    {
        "at": "[data-chart=regularizer]",
        "title": "Behind it, while it trains",
        "text": "Losses, the regularizer by formula and by definition, noise and curvature. Each chart has its table.",
    },
    {
        "at": ".stSidebar [data-testid=stSelectbox]",
        "title": "Choose",
        "text": "A preset to start from; below it the data set, the model, the drop probability and the arms to compare.",
    },
    {
        "at": ".st-key-run",
        "title": "Run",
        "text": "It trains here, and you watch it live. Pause, Step and Stop are beside it, with their keys.",
    },
    {
        "at": "[data-testid=stTopNavLink]",
        "title": "And from here",
        "text": "Lessons walk you through the ideas; the other pages take a run further: compare, vary, look at its curvature.",
    },
)


def tour() -> None:
    """Draw the invitation, where it was not answered before in this browser; the tour itself when it is asked for."""
    data = {"stops": STOPS, "asked": st.session_state.get("tour", 0)}
    component("dropviz_tour", "tour")(key="tour_component", data=data)


def tour_button() -> None:
    """A quiet button that starts the tour."""
    st.button("Show me around", type="tertiary", icon=":material/explore:", key="tour_button", on_click=_ask)


def _ask() -> None:
    st.session_state["tour"] = st.session_state.get("tour", 0) + 1
