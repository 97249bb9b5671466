"""The tables of an experiment as files: what was run, what was found, and every point."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropviz import analysis
from dropviz.export.series import Series, finished_values, series_of
from dropviz.export.summary import decomposition, summary
from dropviz.store import Experiment, Store

if TYPE_CHECKING:
    import pyarrow as pa

FILES = ("summary.json", "points.parquet", "spec.json")


def check_writable(folder: Path) -> None:
    """Create the folder, and refuse it before anything runs if nothing can be written there.

    Raises:
        ValueError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        for name in FILES:
            if (folder / name).is_dir():
                raise IsADirectoryError(f"{name} in it is a folder")
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            f"--out {str(folder)!r} cannot be written ({reason}): name another folder."
        ) from None


def write(store: Store, experiment: Experiment, folder: Path) -> analysis.Decomposition:
    """Write the three files; returns the decomposition that the summary holds."""
    series = series_of(store, experiment)
    for name in FILES:
        with whole(folder / name) as temporary:
            temporary.write_bytes(TABLES[name](store, experiment, series))
    return decomposition(experiment.spec, finished_values(experiment, series))


def table_files(
    store: Store, experiment: Experiment, names: Iterable[str] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Name and content of what people read, by default of all: spec, summary, and the points twice."""
    series = series_of(store, experiment)
    yield from ((name, TABLES[name](store, experiment, series)) for name in names or TABLES)


def summary_json(store: Store, experiment: Experiment, series: Iterable[Series]) -> bytes:
    """What was found."""
    finished = finished_values(experiment, series)
    return _json(summary(experiment, finished, store.provenance(experiment)))


def parquet(series: Iterable[Series]) -> bytes:
    """A row a value: arm, seed, step, metric, value."""
    from pyarrow import BufferOutputStream
    from pyarrow.parquet import write_table

    out = BufferOutputStream()
    write_table(_table(series), out)
    return out.getvalue().to_pybytes()


def csv(series: Iterable[Series]) -> bytes:
    """The same rows as text; every value reads back exactly."""
    from pyarrow import BufferOutputStream
    from pyarrow.csv import write_csv

    out = BufferOutputStream()
    write_csv(_table(series), out)
    return out.getvalue().to_pybytes()


def _table(series: Iterable[Series]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    series = list(series)
    lengths = [len(one.steps) for one in series]

    def words(of: list[str]) -> Any:
        """One entry a series, repeated for each of its values."""
        known = sorted(set(of))
        codes = np.repeat([known.index(word) for word in of], lengths).astype(np.int32)
        return pa.DictionaryArray.from_arrays(codes, pa.array(known, pa.string())).cast(pa.string())

    def numbers(of: list[Any], kind: Any) -> Any:
        return pa.array(np.concatenate([np.empty(0), *of]).astype(kind) if of else np.empty(0, kind))

    return pa.table(
        {
            "arm": words([one.arm for one in series]),
            "seed": pa.array(np.repeat([one.seed for one in series], lengths).astype(np.int64)),
            "step": numbers([one.steps for one in series], np.int64),
            "metric": words([one.metric for one in series]),
            "value": numbers([one.values for one in series], np.float64),
        }
    )


def _json(table: dict[str, Any]) -> bytes:
    """A table as people read it, with null where there is no such number."""
    return (json.dumps(_finite(table), indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


TABLES: dict[str, Callable[[Store, Experiment, list[Series]], bytes]] = {
    "spec.json": lambda store, experiment, series: _json(experiment.spec.to_table()),
    "summary.json": summary_json,
    "points.parquet": lambda store, experiment, series: parquet(series),
    "points.csv": lambda store, experiment, series: csv(series),
}


def write_json(path: Path, table: dict[str, Any]) -> None:
    """Write a table, with null for what is not finite; a former file stays until all is written."""
    with whole(path) as temporary:
        temporary.write_bytes(_json(table))


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A place to write to that becomes ``path`` when all is written: what was there before stays until then."""
    temporary = path.with_suffix(f"{path.suffix}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: null says that there is no such number."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
