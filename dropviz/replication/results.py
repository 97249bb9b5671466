"""The file of outcomes: ``results.json``, row → outcome. One of them comes with the program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from dropviz import settings
from dropviz.choices import SpecError
from dropviz.replication.outcomes import Outcome
from dropviz.replication.settings import SCALES, Scale

RECORDED = Path(__file__).with_name("recorded.json")  # benchmarks/replication/results.json leads here


def results_text(outcomes: Mapping[str, Outcome]) -> str:
    """The text of such a file, one line a row."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(found.to_table(), ensure_ascii=False, allow_nan=False)}"
        for key, found in outcomes.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_results(path: Path) -> dict[str, Outcome]:
    """The outcomes in a file; none where there is no file.

    Raises:
        SpecError: The file holds something else.
    """
    if not path.exists():
        return {}
    try:
        table = json.loads(path.read_text("utf-8"))
        return {key: Outcome.from_table(found) for key, found in table.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise SpecError(f"{path} holds no results of a replication ({error}): move it away.") from None


@cache
def recorded() -> Mapping[str, Outcome]:
    """What comes with the program: the small scale."""
    return read_results(RECORDED)


def own_path(scale: Scale) -> Path:
    """Where this installation keeps what it replicated last."""
    return settings.data_dir() / "replication" / f"{scale}.json"


def own_results() -> dict[Scale, dict[str, Outcome]]:
    """What was replicated here, by scale, as far as it is readable by this version of the program."""
    paths = {scale: own_path(scale) for scale in SCALES}
    here = {scale: path for scale, path in paths.items() if path.exists()}
    found = {scale: _known(path, path.stat().st_mtime_ns) for scale, path in here.items()}
    return {scale: results for scale, results in found.items() if results}


@lru_cache(maxsize=len(SCALES))
def _known(path: Path, changed: int) -> dict[str, Outcome]:
    """The outcomes in a file that was last changed then; none where it is of another version, as replicating replaces it."""
    try:
        return read_results(path)
    except SpecError:
        return {}
