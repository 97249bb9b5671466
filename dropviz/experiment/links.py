"""A spec as the query of a URL and back: ``preset=NAME``, and each setting that differs by its dotted key.

``preset=noisy-digits&p=0.2&train.steps=500&arms=none,dropout``: short enough to read aloud, and to type.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from dropviz.choices import SpecError
from dropviz.experiment.files import preset, preset_names
from dropviz.experiment.spec import ExperimentSpec, canonical_json, read_setting

PRESET = "preset"
LONGEST = (
    4000  # characters of a query that is read or written; servers and proxies take at least twice as many
)
NAMED = ("data", "model")  # groups whose knobs depend on their name


def query_of(spec: ExperimentSpec) -> dict[str, str]:
    """The shortest query that reads back as this spec, by the preset that it differs least from.

    Raises:
        SpecError: It is longer than a link may be.
    """
    queries = [{PRESET: name} | differences(spec, preset_table(name)) for name in preset_names()]
    found = min(queries, key=lambda query: len(urlencode(query)))
    if len(urlencode(found)) > LONGEST:
        raise SpecError(
            f"These settings take more than the {LONGEST:,} characters of a link: run them, and share the link to the result."
        )
    return found


def spec_of(query: Mapping[str, str]) -> ExperimentSpec:
    """The spec of a query, from the first preset where none is named; what is no setting is left out (see ``own``).

    Raises:
        SpecError: One sentence about the first thing that is wrong, or the query is too long.
    """
    settings = own(query)
    if len(urlencode(settings)) > LONGEST:
        raise SpecError(
            f"This link is longer than {LONGEST:,} characters: use it as it was given, or a file with `dropviz run SPEC.toml`."
        )
    start = preset(settings.pop(PRESET, preset_names()[0]))
    first = sorted(settings, key=lambda key: key not in NAMED and key.partition(".")[2] != "name")
    return start.with_settings(f"{key}={settings[key]}" for key in first)


def own(query: Mapping[str, str]) -> dict[str, str]:
    """The part of a query that is about a spec; a page's URL has other things, too, and what others hang on it."""
    fields = ExperimentSpec.model_fields
    return {
        key: text
        for key, text in query.items()
        if key in (PRESET, *fields) or key.partition(".")[0] in fields
    }


def differences(spec: ExperimentSpec, start: Mapping[str, Any]) -> dict[str, str]:
    """Dotted key → text of each setting that is another one than in a spec's table."""
    found: dict[str, str] = {}
    for key, value in spec.to_table().items():
        if not isinstance(value, dict):
            if _differ(value, start[key]):
                found[key] = _text(value)
            continue
        former = start[key]
        if key in NAMED and value["name"] != former["name"]:
            found[f"{key}.name"] = value["name"]
            former = type(getattr(spec, key)).from_table({}).to_table()
        found |= {
            f"{key}.{knob}": _text(entry) for knob, entry in value.items() if _differ(entry, former[knob])
        }
    return found


@cache
def preset_table(name: str) -> dict[str, Any]:
    """A preset as a table, read once."""
    return preset(name).to_table()


def _differ(one: Any, other: Any) -> bool:
    """Whether they are written differently: 0.0 and −0.0 are, which ``==`` does not tell apart."""
    return canonical_json({"": one}) != canonical_json({"": other})


def _text(value: Any) -> str:
    """The plainest text that reads back as this value."""
    of_a_list = isinstance(value, list)
    plain = ",".join(map(_plain, value if of_a_list else [value]))
    reads_back = not _differ(read_setting(plain, of_a_list=of_a_list), value)
    return plain if reads_back else _json(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    """JSON, which TOML reads, too, but for one character that it wants escaped."""
    return canonical_json({"": value})[4:-1].replace("\x7f", "\\u007f")
