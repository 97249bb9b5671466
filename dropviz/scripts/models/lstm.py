"""The LSTM language model as code."""

from dropviz.scripts.recurrence import gated as write

__all__ = ["write"]
