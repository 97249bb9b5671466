"""How much a run may hold that is opened: what its spec can have recorded. Looked at by counts, before anything is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dropviz.choices import SpecError, shown
from dropviz.experiment import ExperimentSpec, evaluation_steps, live_steps, refresh_steps

MOST_METRICS = 2_000  # of a job: the deepest transformer has some 530, and extensions may add more
MOST_ARRAY_NAMES = 200  # of a job, each at many steps
# Points and arrays of a run. To write 2.7 million took eight seconds of a core, and whoever else writes to
# SQLite waits for 15 at most. The presets have fewer, but for the largest with all arms and 256 seeds.
MOST_ROWS = 1_000_000
MORE_MOMENTS = 20  # than those of the spec: weights of 17 steps can be measured on request
TENSOR_BYTES = 256  # of a line of what is listed in a safetensors file, at most


def moments(spec: ExperimentSpec) -> int:
    """At how many steps a job of this spec can have a point of one metric, and a little more: other versions may have had others."""
    return sum(len(steps(spec)) for steps in (evaluation_steps, live_steps, refresh_steps)) + MORE_MOMENTS


def check_job(arm: str, *, metrics: Sequence[str], points: int, arrays: Sequence[str], moments: int) -> None:
    """Refuse a job that holds more than its spec can have recorded.

    Args:
        arm: Its arm.
        metrics: Names of its metrics.
        points: How many points it has.
        arrays: Names of its arrays, as often as there is one.
        moments: Of its spec, see ``moments``.

    Raises:
        SpecError: Names the amount and the limit.
    """
    if twice := _repeated(metrics):
        raise SpecError(
            f"run.json names the metric {shown(twice)} of {arm[:40]} more than once: export the run again."
        )
    kinds = len(set(arrays))
    if kinds > MOST_ARRAY_NAMES:
        raise SpecError(
            f"{arm[:40]} has arrays of {kinds:,} names in run.json, and a job has {MOST_ARRAY_NAMES:,} at most:"
            " export the run again."
        )
    for what, amount, names in (("points", points, len(metrics)), ("arrays", len(arrays), kinds)):
        if amount > names * moments:
            raise SpecError(
                f"{arm[:40]} has {amount:,} {what} in the file, and {names:,} of a name at the {moments:,} moments of its spec"
                f" are {names * moments:,} at most: export the run again."
            )


def check_run(rows: Iterable[int]) -> None:
    """Refuse a run whose jobs have so many points and arrays together that to write them would keep everybody waiting.

    Raises:
        SpecError: Names the amount and the limit.
    """
    amount = sum(rows)
    if amount > MOST_ROWS:
        raise SpecError(
            f"This run has {amount:,} points and arrays, and one that is opened here may have {MOST_ROWS:,}: look at it where"
            " it was computed, or run it with fewer seeds or observe.evaluations."
        )


def check_list(content: bytes, tensors: int) -> None:
    """Refuse a safetensors file that lists many more tensors than there should be; its first eight bytes say how long the list is.

    Raises:
        SpecError: Names the amount and the limit.
    """
    size, most = int.from_bytes(content[:8], "little"), TENSOR_BYTES * (tensors + 8)
    if size > most:
        raise SpecError(
            f"run.safetensors has a list of {size:,} bytes, and the {tensors:,} arrays that run.json names take {most:,} at most:"
            " export the run again."
        )


def _repeated(names: Sequence[str]) -> str:
    """A name that is there more than once, if one is."""
    if len(set(names)) == len(names):
        return ""
    return next(name for name in names if names.count(name) > 1)
