"""What the dispatcher asks of an engine: four verbs. An engine places work; the store knows everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from dropviz.store import Claim


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A job that an engine runs, or has seen end.

    ``sentinel`` becomes readable when that happens. A job has ended when its process has, with an ``exit_code``, or when
    nothing can be known of it any more: then ``lost`` says why.
    """

    job_id: int
    attempt: int
    sentinel: int | None
    exit_code: int | None
    lost: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it does not run any more, as far as the engine can know."""
        return self.exit_code is not None or self.lost is not None


class Engine(Protocol):
    """Places jobs in processes, on this machine or on others."""

    def slots(self) -> int:
        """How many jobs it runs at once; 0 while it cannot take any yet."""
        ...

    def submit(self, claim: Claim) -> None:
        """Start a claimed job in a process of its own."""
        ...

    def stop(self, job_id: int, attempt: int) -> None:
        """Kill the job's process, if it still runs; it is listed as ended afterwards."""
        ...

    def list(self) -> list[Placed]:
        """The jobs that run, and once each of those that ended since the last call."""
        ...
