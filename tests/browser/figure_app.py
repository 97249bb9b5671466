"""What test_figures.py looks at: one chart whose numbers change, served with the routes that it needs."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from dropviz.web import plotly_js
from dropviz.web.figures import Link, Table, figure


def page() -> None:
    """A button that adds a point, and the chart; a click on a point says its name."""
    if st.button("More"):
        st.session_state["count"] = st.session_state.get("count", 3) + 1
    count = st.session_state.get("count", 3)
    x = list(range(count))
    line = go.Scatter(
        x=x,
        y=[i * i for i in x],
        customdata=[f"point {i}" for i in x],
        mode="lines+markers",
        line={"color": "#0072b2"},
    )
    rows = [
        [Link(text=str(i), href=f"?point={i}") if i == 1 else str(i), "=1+1" if i == 2 else str(i * i)]
        for i in x
    ]
    table = Table(columns=["x", "x squared"], rows=rows)
    chosen = figure(
        "squares", go.Figure(line), table, title="Squares, drawn", alt="A parabola", selectable=True
    )
    if chosen:
        st.write(f"Chosen: {chosen}")


if __name__ == "__main__":
    page()

app = st.App(__file__, routes=[plotly_js.route])
