"""What the paper claims: ``rows/<key>.toml``, a figure, an ablation or a table's claim each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, SerializeAsAny, field_validator

from dropviz.analysis import EQUIVALENCE_MARGIN
from dropviz.analysis.claims import Claim, read_claim
from dropviz.choices import Choices, unknown_name
from dropviz.replication.settings import Scale, Setting, settings_of
from dropviz.strategies import strategy

FOLDER = Path(__file__).with_name("rows")
ANY_K, LARGEST_K = "k", "-K"


class Case(Choices):
    """A row on one setting, or on several that are compared with each other.

    Attributes:
        name, title: Of the setting, or of the comparison.
        settings: Part → setting; the part is empty where there is one. A claim's label is ``part: arm`` otherwise.
        claims: With every K in place.
    """

    name: str
    title: str
    settings: dict[str, Setting]
    claims: tuple[SerializeAsAny[Claim], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """All that the claims speak of, and what they are to be seen beside, each once."""
        found = [label for claim in self.claims for label in claim.labels]
        beside = [f"{part}: {arm}" if part else arm for part in self.settings for arm in ("none", "dropout")]
        return tuple(dict.fromkeys([*beside, *found]))

    def arms(self, part: str) -> tuple[str, ...]:
        """The arms that one part has to run."""
        prefix = f"{part}: " if part else ""
        return tuple(label.removeprefix(prefix) for label in self.labels if label.startswith(prefix))


class Row(Choices):
    """One claim of the paper and how it is tested.

    Attributes:
        key: The file's name.
        place: In the list.
        where: In the paper, such as Figure 1.
        title, claim, meaning: A headline, the claim in a sentence, and what it means.
        paper: The paper's numbers, where they are known, with their place in it.
        settings: Patterns of the settings that it is tested on; by default all main ones.
        compared: Part → setting, where one claim speaks of several; then ``settings`` plays no part.
        claims: As ``claims.read_claim`` reads them; ``dropout-K`` has the setting's largest k, ``along = "k"`` all of them, and
            a margin that is not given is that of ``analysis.EQUIVALENCE_MARGIN``.
    """

    key: str
    place: int
    where: str
    title: str
    claim: str
    meaning: str
    paper: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    compared: dict[str, str] = Field(default_factory=dict)
    claims: tuple[dict[str, Any], ...] = Field(min_length=1)

    @field_validator("claims")
    @classmethod
    def _claims_are_claims(cls, tables: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        for table in tables:
            _expanded(table, (2,), 1.0)
        return tables

    def cases(self, scale: Scale) -> list[Case]:
        """What it is tested on at this scale; nothing where there is no such setting."""
        known = settings_of(scale)
        if self.compared:
            if not set(self.compared.values()) <= known.keys():
                return []
            parts = {part: known[name] for part, name in self.compared.items()}
            return [self._case("compared", " and ".join(one.title for one in parts.values()), parts)]
        return [
            self._case(name, setting.title, {"": setting})
            for name, setting in known.items()
            if (
                any(fnmatchcase(name, pattern) for pattern in self.settings)
                if self.settings
                else setting.main
            )
        ]

    def _case(self, name: str, title: str, parts: Mapping[str, Setting]) -> Case:
        ks = {one.k for one in parts.values()}
        assert len(ks) == 1, f"{self.key} compares settings with other k: {ks}"
        score = next(iter(parts.values())).spec(["none"]).data.task.score
        claims = tuple(_expanded(table, next(iter(ks)), EQUIVALENCE_MARGIN[score]) for table in self.claims)
        return Case(name=name, title=title, settings=dict(parts), claims=claims)


def _expanded(table: Mapping[str, Any], k: tuple[int, ...], margin: float) -> Claim:
    """A claim with the numbers of a setting."""
    filled = {key: _with_k(value, max(k)) for key, value in table.items()}
    if filled.get("along") == ANY_K:
        filled["along"] = {strategy(f"dropout-{one}").name: one for one in (1, *k)}
    if filled.get("kind") == "equivalent":
        filled.setdefault("margin", margin)
    return read_claim(filled)


def _with_k(value: Any, k: int) -> Any:
    if isinstance(value, str):
        return value.replace(LARGEST_K, f"-{k}")
    return [_with_k(one, k) for one in value] if isinstance(value, list) else value


@cache
def rows() -> tuple[Row, ...]:
    """All of them, in their order.

    Raises:
        SpecError: A file is not as it should be.
    """
    found = [
        Row.from_table(tomllib.loads(path.read_text("utf-8")) | {"key": path.stem})
        for path in FOLDER.glob("*.toml")
    ]
    return tuple(sorted(found, key=lambda row: row.place))


def row(key: str) -> Row:
    """A row by its key.

    Raises:
        SpecError: There is none.
    """
    for one in rows():
        if one.key == key:
            return one
    raise unknown_name("row of the paper", key, [one.key for one in rows()])
