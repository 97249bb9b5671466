"""How specs differ: their settings by dotted key, and the short name that follows from what is unusual about one.

Everything here reads plain tables, so that experiments of another version of this program have names, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from dropviz import datasets, models
from dropviz.choices import Choices
from dropviz.experiment.groups import LanguageChoices, ObserveChoices, SurrogateChoices, TrainChoices
from dropviz.experiment.spec import canonical_json

Table = Mapping[str, Any]
LONGEST_VALUE = 32  # characters; a file's name may be far longer
MOST_NAMED = 3  # unusual settings in a name; the others are counted
UNNAMED = ("arms", "seeds", "first_seed", "p", "data.name", "model.name", "model.widths")
SHORT = {"learning_rate": "lr", "batch_size": "batch", "train_size": "n", "label_noise": "noise"}


def flat(table: Table) -> dict[str, Any]:
    """Dotted key → value of a spec's table, such as ``train.steps`` → 1500."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{knob}": entry for knob, entry in value.items()}
        else:
            found[key] = value
    return found


def differing(tables: Sequence[Table]) -> dict[str, list[Any]]:
    """Dotted key → its value in each table, of the settings that are not the same in all; None where there is none."""
    settings = [flat(table) for table in tables]
    found = {key: [one.get(key) for one in settings] for key in _keys(settings)}
    return {key: values for key, values in found.items() if len(set(map(_text, values))) > 1}


def shared(tables: Sequence[Table]) -> dict[str, Any]:
    """Dotted key → value of the settings that are the same in all tables."""
    settings, other = [flat(table) for table in tables], differing(tables)
    return {key: settings[0][key] for key in _keys(settings) if key not in other}


def short_name(table: Table) -> str:
    """A name that says what is unusual: ``digits · mlp128×2 · p=.5 · lr=.05``.

    Data set, model and drop probability come first, then at most three settings that are not as they usually are.
    """
    settings, usual = flat(table), _usual(table["data"]["name"], table["model"]["name"])
    parts = [str(settings["data.name"]), _model(settings), f"p={written(settings['p'])}"]
    unusual = [
        f"{_short(key)}={written(settings[key])}"
        for key in dict.fromkeys([*usual, *settings])  # in the order in which people are asked for them
        if key in settings
        and key not in UNNAMED
        and not key.startswith("observe.")
        and (key not in usual or _text(settings[key]) != _text(usual[key]))
    ]
    more = len(unusual) - MOST_NAMED
    return " · ".join([*parts, *unusual[:MOST_NAMED], *([f"+{more}"] if more > 0 else [])])


def written(value: Any) -> str:
    """A value as names and tables have it: ``.5``, ``1,500``, ``on``, ``128, 64``; – for none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(map(written, value)) or "–"
    if isinstance(value, float):
        text = f"{value:g}"
        return text[1:] if text.startswith("0.") else text
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _text(value: Any) -> str:
    """Equal values have equal texts, also where they are lists or of tables."""
    return canonical_json({"": value})


def _keys(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """All dotted keys, in the order of the groups."""
    found = dict.fromkeys(key for one in settings for key in one)
    groups = list(dict.fromkeys(key.partition(".")[0] for key in found))
    return sorted(found, key=lambda key: groups.index(key.partition(".")[0]))


def _model(settings: Mapping[str, Any]) -> str:
    name, widths = str(settings["model.name"]), settings.get("model.widths")
    if not widths:
        return name
    same = len(set(widths)) == 1
    return name + (f"{widths[0]}×{len(widths)}" if same and len(widths) > 1 else "-".join(map(str, widths)))


def _short(key: str) -> str:
    knob = key.partition(".")[2] or key
    return SHORT.get(knob, knob)


@lru_cache(maxsize=512)
def _usual(data: str, model: str) -> dict[str, Any]:
    """The settings of a data set and a model as they are before anybody changes them."""
    found: dict[str, dict[str, Any]] = {}
    for group, registry, name in (("data", datasets.registry, data), ("model", models.registry, model)):
        member = registry.members.get(name)
        found[group] = member.from_table({}).to_table() if member else {}
    groups: dict[str, type[Choices]] = {"train": TrainChoices, "language": LanguageChoices}
    groups |= {"surrogate": SurrogateChoices, "observe": ObserveChoices}
    found |= {group: choices.from_table({}).to_table() for group, choices in groups.items()}
    return flat(found)
