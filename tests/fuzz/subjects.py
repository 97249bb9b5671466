"""What is fed with inputs: a strategy and what is done with an input, by name. A sentence-error is an answer; all else is a finding."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from dropviz import uploads
from dropviz.budget import check_budget
from dropviz.charts import Page
from dropviz.experiment import ExperimentSpec, SpecError, load_spec, preset, preset_names
from dropviz.experiment.links import query_of, spec_of
from dropviz.export import archive
from dropviz.lessons.reading import CONTENT, read_lesson
from dropviz.store import UnknownClass
from dropviz.sweeps import Sweep, question, question_names, read_values
from dropviz.web.arrays import KINDS
from dropviz.web.board import asked_of
from dropviz.web.knobs import typed, typed_list
from dropviz.web.lessons.pad import drawn_of
from tests.fuzz import inputs, pages
from tests.fuzz.world import World, zipped

SHARES = {  # of the inputs of a long form, where it is not 1: more of what is quick
    "spec tables": 0.6,
    "settings": 1.5,
    "JSON files": 0.7,
    "values of a sweep": 2.0,
    "sweeps": 0.5,
    "paths of files": 1.5,
    "addresses of pages": 0.3,
    "damaged zips": 1.5,
    "changed runs in zips": 0.5,
    "damaged numbers in zips": 1.5,
    "what a component sends": 1.5,
}
LONGEST_SENTENCE = 2500  # characters
PRESETS = {name: preset(name).to_table() for name in preset_names()}
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is tried, and what is done with an input."""

    inputs: st.SearchStrategy[Any]
    feed: Callable[[Any], object]


def subjects(world: World) -> dict[str, Subject]:
    """All of them."""
    return {
        "spec tables": Subject(inputs=_tables(), feed=_spec),
        "settings": Subject(
            inputs=st.lists(st.builds("{}={}".format, _keys(), inputs.short), max_size=4), feed=_settings
        ),
        "links to settings": Subject(inputs=st.dictionaries(_keys(), inputs.texts, max_size=5), feed=_link),
        "TOML files": Subject(inputs=_toml_texts(), feed=partial(_file, world.folder / "data" / "spec.toml")),
        "JSON files": Subject(
            inputs=st.one_of(_tables().map(json.dumps).map(str.encode), st.binary(max_size=200)),
            feed=partial(_file, world.folder / "data" / "spec.json"),
        ),
        "values of a sweep": Subject(inputs=inputs.texts, feed=read_values),
        "sweeps": Subject(inputs=_sweeps(), feed=_sweep),
        "CSV uploads": Subject(inputs=_csv(), feed=_csv_upload),
        "text uploads": Subject(inputs=st.binary(max_size=6000), feed=_text_upload),
        "paths of files": Subject(inputs=_paths(), feed=partial(_path, world)),
        "damaged zips": Subject(inputs=inputs.damaged(world.archive), feed=_opened),
        "changed runs in zips": Subject(inputs=_runs(world), feed=partial(_imported, world)),
        "damaged numbers in zips": Subject(
            inputs=inputs.damaged(world.files[1]),
            feed=lambda numbers: _opened(zipped(world.files[0], numbers)),
        ),
        "data routes": Subject(inputs=_addresses(world), feed=partial(_get, world)),
        "addresses of pages": Subject(inputs=pages.addresses(world), feed=pages.look),
        "class links": Subject(inputs=_codes(world), feed=partial(_code, world)),
        "lesson files": Subject(inputs=_lessons(), feed=partial(_lesson, world.folder / "data")),
        "names, notes and tags": Subject(
            inputs=st.tuples(inputs.texts, inputs.texts, st.lists(inputs.short, max_size=15)),
            feed=partial(_described, world),
        ),
        "typed values": Subject(inputs=_typings(), feed=_typed),
        "what a component sends": Subject(inputs=inputs.values, feed=partial(_sent, world)),
    }


# Settings


def _keys() -> st.SearchStrategy[str]:
    known = [key for table in PRESETS.values() for key in _dotted(table)]
    return st.one_of(
        st.sampled_from(sorted({*known, "preset", "data", "model", "data.file", "run"})), inputs.short
    )


def _dotted(table: dict[str, Any]) -> list[str]:
    nested = [f"{key}.{name}" for key, value in table.items() if isinstance(value, dict) for name in value]
    return [*table, *nested]


def _tables() -> st.SearchStrategy[Any]:
    real = st.sampled_from(sorted(PRESETS)).flatmap(lambda name: inputs.changed(PRESETS[name]))
    return st.one_of(real, real, st.dictionaries(inputs.short, inputs.values, max_size=6))


def _spec(table: dict[str, Any]) -> None:
    spec = ExperimentSpec.from_table(table)
    check_budget(spec)
    assert ExperimentSpec.from_table(json.loads(spec.canonical())) == spec
    query_of(spec)


def _settings(settings: list[str]) -> None:
    check_budget(preset("classroom").with_settings(settings))


def _link(query: dict[str, str]) -> None:
    spec = spec_of(query)
    assert spec_of(query_of(spec)) == spec


def _toml_texts() -> st.SearchStrategy[bytes]:
    files = [(ROOT / "dropviz/presets" / f"{name}.toml").read_bytes() for name in preset_names()]
    return st.one_of(
        *map(inputs.damaged, files), inputs.texts.map(lambda text: text.encode("utf-8", "replace"))
    )


def _file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    check_budget(load_spec(path))


def _sweeps() -> st.SearchStrategy[Any]:
    real = [question(name).sweep().to_table() for name in question_names()]
    return st.one_of(*map(inputs.changed, real))


def _sweep(table: dict[str, Any]) -> None:
    Sweep.from_table(table).title()


# Files


def _csv() -> st.SearchStrategy[bytes]:
    rows = "a,b,label\n" + "".join(f"{n},{n / 7},{'xyz'[n % 3]}\n" for n in range(40))
    cells = st.lists(st.lists(st.one_of(inputs.short, inputs.numbers.map(repr)), max_size=6), max_size=30)
    table = cells.map(lambda lines: "\n".join(",".join(line) for line in lines).encode("utf-8", "replace"))
    return st.one_of(inputs.damaged(rows.encode()), table, st.binary(max_size=400))


def _csv_upload(content: bytes) -> None:
    digest = uploads.keep(content, "csv")
    spec = preset("classroom").with_settings(["data.name=csv", f"data.file={digest}"])
    if not spec.data.missing():
        spec.data.load(0)


def _text_upload(content: bytes) -> None:
    digest = uploads.keep(content * 3, "text")
    spec = preset("markov-lstm").with_settings(["data.name=text", f"data.file={digest}"])
    if not spec.data.missing():
        spec.data.load(0)


def _paths() -> st.SearchStrategy[str]:
    parts = st.sampled_from(
        ["..", "/", "up", "circle", "out.csv", "good.csv", "secret.csv", "data", "\0", "%2e%2e", "~", "."]
    )
    joined = st.lists(parts, max_size=8).map("/".join)
    return st.one_of(joined, joined.map(lambda path: f"/{path}"), inputs.texts)


def _path(world: World, name: str) -> None:
    found = uploads.path_of(name)
    folders = (world.folder / "mounted", world.folder / "data" / "uploads")
    assert any(found.resolve().is_relative_to(folder.resolve()) for folder in folders), found


# Runs from elsewhere


def _opened(content: bytes) -> None:
    archive.opened(content)


def _runs(world: World) -> st.SearchStrategy[dict[str, Any]]:
    run = json.loads(world.files[0])
    alike = inputs.alike(run, "spec", "jobs", "versions")
    return st.one_of(inputs.changed(run), alike, alike)


def _imported(world: World, run: dict[str, Any]) -> None:
    """What is opened can also be kept, shown and exported."""
    view_id = world.store.keep_import(archive.opened(zipped(run, world.files[1])), owner="me")
    for path in (f"/live/{view_id}", *(f"/export/{view_id}/{name}" for name in ("csv", "json", "html"))):
        answer = world.client.get(path)
        assert answer.status_code == 200, (path, answer.text)
    world.store.runs.delete(view_id, "me")


# Routes


def _addresses(world: World) -> st.SearchStrategy[str]:
    quoted = inputs.short.map(lambda text: quote(text.encode("utf-8", "replace"), safe=""))
    ids = st.one_of(
        st.sampled_from([world.run, "0" * 32, "example-classroom", f"class-{world.code}"]), quoted
    )
    cursors = st.one_of(st.builds("{}:{}".format, inputs.short, inputs.numbers), inputs.texts)
    pages = st.one_of(st.sampled_from(["", "lab", "curvature"]), inputs.short)
    query = st.builds(
        lambda cursor, page: urlencode({"cursor": cursor, "page": page}, errors="replace"), cursors, pages
    )
    kinds, steps = st.one_of(st.sampled_from(sorted(KINDS)), quoted), inputs.numbers.map(str) | quoted
    formats = st.one_of(st.sampled_from(["json", "csv", "zip", "safetensors"]), quoted)
    return st.one_of(
        st.builds("/live/{}?{}".format, ids, query),
        st.builds("/arrays/{}/{}/{}".format, ids, kinds, steps),
        st.builds("/export/{}/{}".format, ids, formats),
        st.builds("/join/{}".format, quoted),
        st.lists(quoted, max_size=4).map(lambda parts: "/" + "/".join(parts)),
    )


def _get(world: World, path: str) -> None:
    answer = world.client.get(f"http://localhost{path}")
    assert answer.status_code < 500, (path, answer.text)
    assert "Traceback" not in answer.text
    if answer.status_code in (301, 302, 307):
        where = answer.headers["location"]
        assert "//" not in where.partition("?")[0].removeprefix("http://localhost/"), where


def _codes(world: World) -> st.SearchStrategy[str]:
    near = inputs.damaged(world.code.encode()).map(lambda code: code.decode("latin-1"))
    return st.one_of(near, near, inputs.texts)


def _code(world: World, code: str) -> None:
    from dropviz.classes import typed

    world.store.classes.by_code(code)
    assert typed(code) == typed(world.code), f"{code!r} was taken for {world.code!r}"


def _lessons() -> st.SearchStrategy[bytes]:
    files = [path.read_bytes() for path in sorted(CONTENT.glob("*.md"))]
    return st.one_of(
        *map(inputs.damaged, files),
        inputs.texts.map(lambda text: f"+++\n{text}\n+++\n".encode("utf-8", "replace")),
    )


def _lesson(folder: Path, content: bytes) -> None:
    path = folder / "99-tried.md"
    path.write_bytes(content)
    read_lesson(path)


# What people type, and what components send


def _described(world: World, said: tuple[str, str, list[str]]) -> None:
    name, note, tags = said
    owner = world.store.experiment(world.run).owner
    try:
        world.store.runs.describe(world.run, owner, name=name, note=note, tags=tags)
    except ValueError as error:
        raise (SpecError(str(error)) if type(error) is ValueError else error) from None
    (line,) = world.store.runs.lines([world.run]).values()
    for text in (line.name, *line.tags):
        assert text.isprintable()
        assert len(text) <= 120


def _typings() -> st.SearchStrategy[tuple[str, str]]:
    digits = st.one_of(inputs.numbers, st.integers(4200, 4400).map("9".__mul__)).map(str)
    lists = st.lists(st.one_of(digits, inputs.short), max_size=5).map(", ".join)
    return st.tuples(st.sampled_from(["list", "number or word"]), st.one_of(inputs.texts, digits, lists))


def _typed(said: tuple[str, str]) -> None:
    """What a form's text becomes is a spec, or refused as any other value is."""
    what, text = said
    table = PRESETS["noisy-digits"]
    if what == "list":
        changed = {"model": table["model"] | {"widths": typed_list(text)}}
    else:
        changed = {"observe": table["observe"] | {"statistics": typed(text)}}
    ExperimentSpec.from_table(table | changed)


def _sent(world: World, value: Any) -> None:
    from typing import get_args

    from dropviz.lessons import Draw, entries

    for sent in (
        value,
        {"what": "fork", "arm": "dropout", "step": value},
        {"what": value, "arm": value, "step": 1},
    ):
        asked = asked_of(sent, world.spec)
        assert asked is None or (asked.arm in world.spec.arms and 0 <= asked.step <= 40)
    draws = [one.lesson.predict for one in entries() if one.lesson and isinstance(one.lesson.predict, Draw)]
    draw = draws[0]
    for sent in (value, [value] * len(draw.labels)):
        low, high = draw.range
        assert all(one is None or low <= one <= high for one in drawn_of(sent, draw))
    assert get_args(Page)


ANSWERS = (SpecError, UnknownClass)


def tried(subject: Subject, value: Any) -> str:
    """Feed an input; returns the sentence that answered it, if one did."""
    try:
        subject.feed(value)
    except ANSWERS as error:
        return _sentence(str(error))
    return ""


def _sentence(text: str) -> str:
    assert text
    assert len(text) <= LONGEST_SENTENCE, text[:3000]
    assert "Traceback" not in text
    return text
