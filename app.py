"""What ``streamlit run`` gets: the pages, the live data route and the charts' library, in one server."""

import streamlit as st

from dropviz.web import server

app = st.App(
    "dropviz/web/main.py",
    routes=server.routes(),
    middleware=server.middleware(),
    lifespan=server.lifespan,
    on_script_error=server.on_script_error,
)
