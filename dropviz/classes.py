"""What a class works on: one experiment, what its members may change of it, and links that only this server can give out.

A link's code is the class's id and a tag, the first 50 bits of an HMAC-SHA-256 over the definition with the server's secret.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator

from dropviz.choices import Choices, SpecError, shown, unknown_name
from dropviz.experiment import ExperimentSpec
from dropviz.experiment.spec import canonical_json

Purpose = Literal["join", "teach"]

DEALT = ("seeds", "first_seed")  # by seat, so nobody chooses them
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that reads like something else
LOOKALIKES = str.maketrans("oil", "011")
ID_LENGTH, TAG_LENGTH = 6, 10
SECRET_BYTES = 32


class ClassDefinition(Choices):
    """What is decided when a class is set up, and never changes; what is not open is locked.

    Attributes:
        title: As members read it.
        spec: The experiment; its first seed is that of the first seat.
        open: The settings that members may change, by dotted key; a group's name stands for all that is in it.
        seeds: Of each member.
        expires_at: When it ends by itself, in seconds since 1970; None: when it is closed.
    """

    title: str = Field(min_length=1, max_length=80, title="Title")
    spec: ExperimentSpec
    open: tuple[str, ...] = Field((), title="What students may change")
    seeds: int = Field(3, ge=1, le=32, title="Seeds of each student")
    expires_at: float | None = None

    @field_validator("title", mode="before")
    @classmethod
    def _title_is_a_line(cls, title: Any) -> Any:
        return " ".join(title.split()) if isinstance(title, str) else title

    @field_validator("open")
    @classmethod
    def _settings_exist(cls, keys: tuple[str, ...], info: Any) -> tuple[str, ...]:
        known = openable(info.data["spec"]) if "spec" in info.data else {}
        for key in keys:
            if key in DEALT:
                raise SpecError(f"{key} cannot be opened: a class deals the seeds by seat.")
            if known and key not in known:
                raise unknown_name("setting that can be opened", key, known)
        return tuple(dict.fromkeys(keys))

    @classmethod
    def of(cls, spec: ExperimentSpec, title: str, **choices: Any) -> Self:
        """A class on this experiment, with its data pinned.

        Raises:
            SpecError: One sentence about what cannot be.
        """
        pinned = spec.model_copy(update={"data": spec.data.pinned()})
        return cls.from_table({"title": title, "spec": pinned.to_table()} | choices)

    def canonical(self) -> str:
        """The one JSON text of this definition."""
        return canonical_json(self.to_table())

    def locked(self, key: str) -> bool:
        """Whether a setting, by its dotted key, is as it was when the class was set up."""
        return key not in self.open and key.partition(".")[0] not in self.open

    def check(self, spec: ExperimentSpec) -> None:
        """Refuse a spec that differs where the class is locked.

        Raises:
            SpecError: Names the setting, what it is, and what it has to be.
        """
        wanted, found = self._leaves, dict(leaves(spec.to_table()))
        wanted = wanted | {"seeds": self.seeds}
        for key in sorted(wanted.keys() | found.keys(), key=lambda key: (not key.endswith("name"), key)):
            if key != "first_seed" and self.locked(key) and not _same(wanted.get(key), found.get(key)):
                lock = f"it is {shown(wanted[key])} for everybody" if key in wanted else "it is not there"
                raise SpecError(
                    f"{key} = {shown(found.get(key))} is not possible in this class, where {key} is locked: {lock}."
                )

    def dealt(self, spec: ExperimentSpec, seat: int) -> ExperimentSpec:
        """The spec with the seeds of a seat, which are nobody else's.

        Raises:
            SpecError: There are no seeds left to deal.
        """
        first = self.spec.first_seed + seat * self.seeds
        return ExperimentSpec.from_table(spec.to_table() | {"seeds": self.seeds, "first_seed": first})

    def seat_of(self, seed: int) -> int:
        """Whose seed it is."""
        return (seed - self.spec.first_seed) // self.seeds

    def start(self, spec: ExperimentSpec | None = None) -> ExperimentSpec:
        """Where a member's form starts: the class's experiment, with the open settings of another one where that can be."""
        table = self.spec.to_table() | {"seeds": self.seeds}
        if spec is None:
            return ExperimentSpec.from_table(table)
        for key, value in leaves(spec.to_table()):
            group, _, name = key.partition(".")
            if key not in DEALT and not self.locked(key):
                table[group] = value if not name else table[group] | {name: value}
        for group in ("data", "model"):
            if not self.locked(f"{group}.name"):
                table[group] = spec.to_table()[group]
        try:
            return ExperimentSpec.from_table(table)
        except SpecError:  # of settings that do not go together
            return self.start()

    def changes(self, table: dict[str, Any]) -> dict[str, Any]:
        """What a member's spec has otherwise than the class, but for arms and seeds: setting → value, in order."""
        return {
            key: value
            for key, value in sorted(leaves(table))
            if key not in (*DEALT, "arms") and not _same(value, self._leaves.get(key))
        }

    @cached_property
    def _leaves(self) -> dict[str, Any]:
        return dict(leaves(self.spec.to_table()))


def leaves(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted key, value of every setting in a spec's table."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", one) for name, one in value.items())
        else:
            yield key, value


def _same(one: Any, other: Any) -> bool:
    return canonical_json({"": one}) == canonical_json({"": other})  # which tells 1 from 1.0 and from true


def openable(spec: ExperimentSpec) -> dict[str, str]:
    """What can be opened to members: dotted key → its name in the form, groups before what is in them."""
    found: dict[str, str] = {}
    for key, field in type(spec).model_fields.items():
        value = getattr(spec, key)
        if key in DEALT or (key == "language" and spec.data.task.kind != "language"):
            continue
        if not isinstance(value, BaseModel):
            found[key] = str(field.title)
            continue
        found[key] = f"{field.title}: all of it"
        for name, knob in type(value).model_fields.items():
            if name not in ("name", "file"):
                found[f"{key}.{name}"] = f"{field.title}: {str(knob.title or name).lower()}"
    return found


# Links


def new_id() -> str:
    """An id for a class: 30 random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))


def link_code(secret: bytes, purpose: Purpose, class_id: str, definition: str) -> str:
    """What a link carries, ``xxxx-xxxx-xxxx-xxxx``: the class and the tag that shows that this server made it.

    Args:
        secret: The server's.
        purpose: To join the class, or to teach it.
        class_id: Its id.
        definition: Its canonical text.
    """
    message = canonical_json({"purpose": purpose, "class": class_id, "definition": definition})
    bits = int.from_bytes(hmac.new(secret, message.encode(), hashlib.sha256).digest(), "big")
    bits >>= 256 - 5 * TAG_LENGTH
    tag = "".join(ALPHABET[bits >> 5 * place & 31] for place in reversed(range(TAG_LENGTH)))
    return "-".join(re.findall("....", class_id + tag))


def is_of(code: str, *link: Any) -> bool:
    """Whether a code, however it was typed, is that of a link (see ``link_code``); takes equally long either way."""
    return hmac.compare_digest(typed(code).encode(), typed(link_code(*link)).encode())


def typed(code: str) -> str:
    """A code as it is compared: without hyphens, spaces and capitals, and of letters that look like digits the digits."""
    return re.sub(r"[\s-]", "", code[:80]).lower().translate(LOOKALIKES)


def server_secret(path: Path) -> bytes:
    """The secret of this installation, made when it is first asked for: readable by its user alone, there whole or not at all.

    Raises:
        ValueError: The file holds something else.
        OSError: It cannot be written or read.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{secrets.token_hex(8)}.tmp")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
                file.flush()
                os.fsync(descriptor)
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first: its secret counts
        finally:
            draft.unlink()
    found = path.read_bytes()
    if len(found) != SECRET_BYTES:
        raise ValueError(f"{path} is not a secret of DropViz: move it away, and links are given out anew.")
    return found
