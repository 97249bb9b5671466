"""The last step of a lesson: the result beside the prediction, the verdict, the equation with its live numbers, what next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import streamlit as st

from dropviz.analysis.claims import WORDS, Judgement, Verdict
from dropviz.experiment import ExperimentSpec
from dropviz.lessons import Draw, Entry, Lesson, Link, Measured, digest, recorded
from dropviz.lessons import entry as lesson_entry
from dropviz.lessons.figures import Picture, boundaries, curves, prediction
from dropviz.lessons.outcome import chosen, compared, few, judgements, numbers, results
from dropviz.store.records import FINAL
from dropviz.web.figures import Table, figure
from dropviz.web.lessons import place as places
from dropviz.web.lessons.place import Place, go
from dropviz.web.lessons.run import follow, run_of
from dropviz.web.live import store
from dropviz.web.plain import plain
from dropviz.web.presses import pressed
from dropviz.web.shown import PAGES, go_to

BADGES: dict[Verdict, str] = {
    "green": ":green-badge[:material/check: {}]",
    "amber": ":orange-badge[:material/question_mark: {}]",
    "red": ":red-badge[:material/close: {}]",
}
OPEN = ":blue-badge[:material/table: on your table]"  # where the lesson asks and claims nothing
FILES = {"lab": "0_Lab.py", "what-if": "2_What_if.py", "curvature": "3_Curvature.py"}


def reveal_step(entry: Entry, lesson: Lesson, place: Place) -> None:
    """Show what came out, of the run in the URL or else of the record."""
    experiment, problem = run_of(place)
    if problem:
        st.warning(plain(problem), icon=":material/warning:")
    if experiment is not None and experiment.state not in FINAL:
        follow(experiment)
        return
    known = recorded(entry)
    if experiment is not None and experiment.state == "done":
        measured, spec = _measured(experiment.id, entry.name, digest(lesson)), experiment.spec
    elif known is not None:
        measured, spec, experiment = known.measured, lesson.recorded_spec, None
    else:
        st.info("There is no result to show yet. Run the lesson first.", icon=":material/info:")
        st.button("To the run", on_click=go, args=(place,), kwargs={"step": "run"}, key="to_run")
        return
    try:
        found = judgements(lesson, measured, spec)
        asked = spec.data.name != lesson.recorded_spec.data.name
        by = " by an earlier version of the program" if known is not None and known.former else ""
        where = f"Recorded{by}" if experiment is None else "Run here"
        _verdict(found, measured, where, asked=asked)
        if experiment is not None and known is not None and not lesson.experiment.own_data:
            _recorded_verdict(known.judgements, known.measured.seeds)
        _pictures(lesson, measured, spec, place)
    except (LookupError, ValueError) as error:
        st.warning(
            plain(f"This run is not one of this lesson: {str(error).strip(chr(39))} Run the lesson anew."),
            icon=":material/warning:",
        )
        return
    st.subheader("What happened")
    st.markdown(lesson.texts["Explanation"])
    _next(lesson, place, spec, experiment.id if experiment else "")


@lru_cache(maxsize=32)
def _measured(view_id: str, name: str, version: str) -> Measured:
    """Of a run that is done, as a lesson of this digest looks at it; it never changes."""
    lesson = lesson_entry(name).lesson
    assert lesson is not None
    return Measured.of_run(store(), store().experiment(view_id), lesson)


def _verdict(found: Sequence[Judgement], measured: Measured, where: str, *, asked: bool) -> None:
    st.caption(f"{where}, {measured.seeds} seeds. {few(measured)}")
    for one in found:
        badge = OPEN if asked else BADGES[one.verdict].format(WORDS[one.verdict])
        st.markdown(f"{badge} {plain(one.sentence)}")


def _recorded_verdict(found: Sequence[Judgement], seeds: int) -> None:
    with st.expander(f"The same as recorded with the lesson, over {seeds} seeds"):
        for one in found:
            st.markdown(f"{BADGES[one.verdict].format(WORDS[one.verdict])} {plain(one.sentence)}")


def _pictures(lesson: Lesson, measured: Measured, spec: ExperimentSpec, place: Place) -> None:
    predict = lesson.predict
    st.latex(lesson.equation.tex)
    left, right = st.columns([3, 2], gap="large")
    shown: list[tuple[str, Picture]] = []
    with left:
        if isinstance(predict, Draw):
            mine = places.drawn(predict, place.guess)
            if mine:
                st.markdown(plain(compared(predict, mine, results(predict, measured))))
            else:
                st.caption("You made no prediction.")
            shown.append(
                (
                    "Your prediction and the result" if mine else "The result",
                    prediction(predict, mine, measured),
                )
            )
        else:
            st.markdown(chosen(predict, places.option(predict, place.guess), measured)[1])
        if lesson.pictures and measured.pictures:
            shown.append(("Decision boundaries of the first seed", boundaries(spec, measured)))
        shown += [(chart.title, curves(chart, measured)) for chart in lesson.charts]
        for title, picture in shown:
            _figure(f"figure/{lesson.name}/{title}", title, picture)
    with right:
        _numbers(lesson, measured, spec)


def _figure(key: str, title: str, picture: Picture) -> None:
    table = Table(columns=picture.rows[0], rows=picture.rows[1:])
    figure(key, picture.chart, table, title=title, alt=picture.alt)


def _numbers(lesson: Lesson, measured: Measured, spec: ExperimentSpec) -> None:
    """Every symbol of the equation, with its value in this run."""
    lines = ["| symbol | meaning | in this run |", "|---|---|---|"]
    for one in numbers(lesson, measured, spec):
        lines.append(f"| ${one.tex}$ | {one.meaning} | {plain(one.value)} |")
    st.markdown("\n".join(lines))
    st.caption("In brackets: 95 % intervals over the seeds.")


def _next(lesson: Lesson, place: Place, spec: ExperimentSpec, run: str) -> None:
    st.subheader("What next")
    st.markdown(lesson.texts["Next"])
    for number, link in enumerate(lesson.links):
        if not (PAGES / FILES[link.page]).exists():
            continue
        missing = link.page == "curvature" and not run
        wanted = pressed(
            link.text,
            key=f"link/{number}",
            type="tertiary",
            icon=":material/open_in_new:",
            disabled=missing,
            help="Run the lesson here first: that page shows runs of this server." if missing else None,
        )
        if wanted:
            _open(lesson, link, run)


def _open(lesson: Lesson, link: Link, run: str) -> None:
    """Go to another page with the run itself, or with its configuration changed."""
    if run and not link.settings:
        go_to(FILES[link.page], run)
    st.switch_page(PAGES / FILES[link.page], query_params=configuration(lesson, link))


def configuration(lesson: Lesson, link: Link) -> dict[str, str]:
    """Preset and settings as they stand in the URL of a page."""
    settings = (setting.partition("=") for setting in (*lesson.experiment.settings, *link.settings))
    return {"preset": lesson.experiment.preset} | {key: value for key, _, value in settings}
