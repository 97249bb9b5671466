"""The training loop: one arm, a block of seeds, one program."""

from dropviz.training.block import Block
from dropviz.training.feed import Minibatches
from dropviz.training.records import Diverged, Record, Snapshot

__all__ = ["Block", "Diverged", "Minibatches", "Record", "Snapshot"]
