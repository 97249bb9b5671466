"""What a child's training thread hands to its recorder, numbered in the order in which it is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dropviz.engine.checkpoints import Checkpoint
from dropviz.engine.recorder import Kept, Progress, Recorder
from dropviz.store import Point, SnapshotRow

if TYPE_CHECKING:
    from dropviz.training import Block, Record, Snapshot


class Series:
    """Numbers a job's records the same in every attempt.

    Args:
        recorder: Takes them.
        seq: The number of the last one that is there; −1 where there is none.
    """

    def __init__(self, recorder: Recorder, seq: int = -1) -> None:
        self.recorder, self.seq = recorder, seq
        self._spent: dict[str, float] = {}

    def put(
        self,
        records: Sequence[Record | Snapshot],
        step: int,
        rate: float | None = None,
        block: Block | None = None,
    ) -> None:
        """Hand over records, and what the block that they are of has spent since the last ones."""
        numbered: list[Point | SnapshotRow] = []
        for record in records:
            self.seq += 1
            if hasattr(record, "values"):
                values = np.asarray(record.values, dtype=np.float64)
                numbered.append(Point(seq=self.seq, step=record.step, name=record.name, values=values))
            else:
                numbered.append(
                    SnapshotRow(seq=self.seq, step=record.step, name=record.name, array=record.array)
                )
        seconds = self._newly_spent(block) if block else {}
        self.recorder.put(Progress(records=numbered, step=step, steps_per_second=rate, seconds=seconds))

    def _newly_spent(self, block: Block) -> dict[str, float]:
        new = {name: spent - self._spent.get(name, 0.0) for name, spent in block.seconds.items()}
        self._spent = dict(block.seconds)
        return new

    def keep(self, block: Block) -> None:
        """Hand over the block's weights."""
        self.recorder.put(Kept(step=block.step, parameters=block.weights()))

    def save(self, block: Block) -> None:
        """Hand over the block's state."""
        self.recorder.put(Checkpoint(state=block.state(), step=block.step, seq=self.seq))
