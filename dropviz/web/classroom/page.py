"""The Class page: for the teacher the students' link, large, and everybody's results; for others the results."""

from __future__ import annotations

import html
import time
from urllib.parse import urlsplit

import segno
import streamlit as st

from dropviz.store import Classroom, UnknownClass
from dropviz.web.classroom import member as classroom
from dropviz.web.classroom.member import Attended, open_class, pool_board, rules, unknown_class
from dropviz.web.classroom.pooled import PooledReader, counted, view_of
from dropviz.web.live import pool, store
from dropviz.web.plain import plain, plain_lines
from dropviz.web.presses import pressed
from dropviz.web.shown import PAGES
from dropviz.web.visitor import visitor

LOOK_SECONDS = 2.0
JOIN, RESULTS = "Link for students", "Results"
HERE_ONLY = ("localhost", "127.0.0.1", "::1")


def page() -> None:
    """Draw the class of the URL, or the visitor's own classes."""
    if given := st.query_params.get("teach"):
        _take_over(given)
        return
    room, wrong_link = classroom.attended(join=False)
    if wrong_link:
        unknown_class(wrong_link)
    elif room is None:
        _mine()
    elif room.taught:
        _taught(room)
    else:
        _looked_at(room)


def _take_over(code: str) -> None:
    """The teacher's link: this browser is the teacher's from now on, and the code leaves the URL, which others may see."""
    try:
        found = store().classes.take_over(code, visitor())
    except UnknownClass as error:
        unknown_class(str(error))
        return
    open_class(store().classes.code(found))


def _mine() -> None:
    st.header("Teach a class")
    classes = store().classes.of(visitor())
    st.write(
        "In the Lab, choose an experiment and press **Teach this**: you get a link for your students, each of them runs"
        " it with seeds of their own, and all results come together here."
    )
    if pressed("Open the Lab", key="to_lab", type="secondary" if classes else "primary"):
        st.switch_page(PAGES / "0_Lab.py")
    if classes:
        st.subheader("Your classes")
    for found in classes:
        with st.container(horizontal=True, vertical_alignment="center"):
            state = "closed" if found.ended(time.time()) else "open"
            title = plain(found.definition.title)
            st.markdown(f"{title} · {state} · {counted(found.joined, 'student')}", width="stretch")
            if pressed("Open", key=f"open/{found.id}"):
                open_class(store().classes.code(found))


def _looked_at(room: Attended) -> None:
    """What a student sees: the results."""
    st.header(plain(room.classroom.definition.title))
    _to_the_lab(room, "To the Lab")
    pool_board(room.code)
    if len((found := pool(view_of(room.code))).groups()) > 1:
        _by_settings(found)


def _by_settings(found: PooledReader) -> None:
    """What students changed, and what dropout did there."""
    st.subheader("By settings")
    st.table(
        plain_lines(found.comparison()),
        border="horizontal",
        hide_index=True,
        alt="Results by what students changed",
    )


def _to_the_lab(room: Attended, label: str) -> None:
    if pressed(label, key="to_lab", type="tertiary"):
        st.switch_page(PAGES / "0_Lab.py", query_params={"class": room.code})


def _taught(room: Attended) -> None:
    definition = room.classroom.definition
    st.header(plain(definition.title))
    fresh = JOIN if not room.classroom.joined else RESULTS
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = st.segmented_control(
            "Show",
            [JOIN, RESULTS],
            default=fresh,
            required=True,
            key=f"shown/{room.classroom.id}",
            label_visibility="collapsed",
        )
        _buttons(room)
    if room.over:
        st.warning(plain(room.over), icon=":material/lock_clock:")
    if chosen == JOIN:
        _link(room)
    else:
        pool_board(room.code)
        _news(room, _shape(pool(view_of(room.code))), counts=False)


def _buttons(room: Attended) -> None:
    closed = room.classroom.closed_at is not None
    st.button(
        "Open again" if closed else "Close the class",
        key="close",
        icon=":material/lock_open:" if closed else ":material/lock:",
        help="Let students join and run again."
        if closed
        else "Nobody joins or runs any more; the results stay. You can open it again.",
        on_click=_close,
        args=(room.classroom, not closed),
    )
    with st.popover("More", icon=":material/more_horiz:"):
        st.caption(f":material/lock: {rules(room.classroom)}")
        st.caption(f"{counted(room.classroom.definition.seeds, 'seed')} for each student.")
        _to_the_lab(room, "See it as a student")
        st.caption(
            "To teach from another computer, open this there. Whoever opens it is the teacher, so keep it."
        )
        st.code(
            f"{_site()}/class?teach={store().classes.code(room.classroom, 'teach')}",
            language=None,
            wrap_lines=True,
        )


def _close(found: Classroom, closed: bool) -> None:
    if store().classes.classroom(found.id).owner == visitor():
        store().classes.close(found.id, closed=closed)


def _link(room: Attended) -> None:
    """For the projector: the link to type, the same to scan, and how many have come."""
    link = f"{_site()}/join/{room.code}"
    left, right = st.columns([1.25, 1], vertical_alignment="center")
    with left:
        host, code = html.escape(link.partition("://")[2].removesuffix(room.code)), html.escape(room.code)
        st.html(f'<p class="dv-join">{host}<wbr><b>{code}</b></p>')
        st.code(link, language=None, wrap_lines=True)
        _news(room, _shape(pool(view_of(room.code))), counts=True)
        if urlsplit(link).hostname in HERE_ONLY:
            st.info(
                "Other computers cannot open this address. Serve with **--host 0.0.0.0**, and open this page by this"
                " computer's name or address in the network: the link follows.",
                icon=":material/info:",
            )
    with right:
        st.html(f'<img class="dv-qr" alt="QR code of the link" src="{qr_code(link)}">')


def qr_code(link: str) -> str:
    """A link as a QR code: the address of an image. Dark on white in any theme, with the margin that cameras need."""
    return segno.make(link, error="m", micro=False).svg_data_uri(border=4, dark="#000", light="#fff")


@st.fragment(run_every=LOOK_SECONDS)
def _news(room: Attended, shape: tuple[object, ...], *, counts: bool) -> None:
    """How many have come and how many have results; the page is drawn anew when there is another menu or another arm.

    Args:
        room: The class.
        shape: Of the results when the page was drawn.
        counts: Show them.
    """
    found = pool(view_of(room.code))
    if _shape(found) != shape:
        st.rerun()
    if counts:
        joined, present = st.columns(2)
        joined.metric("Students who joined", f"{found.classroom.joined:,}", border=True)
        students = frozenset().union(*(group.seats for group in found.groups()))
        present.metric("With results", f"{len(students):,}", border=True)
    elif len(found.groups()) > 1:
        _by_settings(found)


def _shape(found: PooledReader) -> tuple[object, ...]:
    """What the page shows of the results beside numbers."""
    return found.state, *((group.id, group.arms) for group in found.groups())


def _site() -> str:
    """The address of this server as the visitor's browser has it, with the path before that of its pages."""
    here = urlsplit(st.context.url or "http://localhost:8501/class")
    return f"{here.scheme}://{here.netloc}{here.path.rstrip('/').removesuffix('/class')}"
