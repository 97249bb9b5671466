"""What a backup holds: which names there are, and which file or folder of a store each of them is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dropviz.store.parts import Parts

MANIFEST = "manifest.json"
DATABASE = "dropviz.db"
FORMAT = 1
# The only names that a backup may have, so that no name leads anywhere else.
NAME = re.compile(
    r"dropviz\.db|dropviz\.secret|checkpoints/\d{1,18}\.safetensors|weights/\d{1,18}/\d{1,9}\.safetensors"
    r"|uploads/[0-9a-f]{64}|handed-in/[0-9a-f]{64}|replication/[a-z0-9-]{1,40}\.json"
)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        format: Of the archive; this program reads ``FORMAT``.
        version: Of the DropViz that wrote it.
        schema: Of the database.
        created_at: When, in UTC.
        files: Name → size in bytes and SHA-256.
    """

    format: int
    version: str
    schema: int
    created_at: str
    files: Mapping[str, tuple[int, str]]

    def to_json(self) -> bytes:
        """As it stands in the archive."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def of_json(cls, content: bytes) -> Manifest:
        """Read one back.

        Raises:
            ValueError: It is none.
        """
        try:
            table: dict[str, Any] = json.loads(content)
            files = {str(name): (int(size), str(digest)) for name, (size, digest) in table["files"].items()}
            return cls(
                format=int(table["format"]),
                version=str(table["version"]),
                schema=int(table["schema"]),
                created_at=str(table["created_at"]),
                files=files,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError("its manifest cannot be read") from None


def folders(parts: Parts) -> dict[str, Path]:
    """The folders of a backup, and what they are in a store."""
    return {
        "checkpoints": parts.checkpoints,
        "weights": parts.weights,
        "uploads": parts.uploads,
        "handed-in": parts.handed_in,
        "replication": parts.replication,
    }


def place(parts: Parts, name: str) -> Path:
    """Where a name of the archive belongs in a store."""
    first, _, rest = name.partition("/")
    if not rest:
        return parts.secret if first == "dropviz.secret" else parts.database
    return folders(parts)[first] / rest
