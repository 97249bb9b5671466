"""Experiments as files, and files as experiments: tables, event files, weights, one archive with all, and its way back."""

from dropviz.export.files import FILES, check_writable, whole, write, write_json
from dropviz.export.series import Series, finished_values, last_values, series_of
from dropviz.export.summary import decomposition, describe, summary, versions

__all__ = [
    "FILES",
    "Series",
    "check_writable",
    "decomposition",
    "describe",
    "finished_values",
    "last_values",
    "series_of",
    "summary",
    "versions",
    "whole",
    "write",
    "write_json",
]
