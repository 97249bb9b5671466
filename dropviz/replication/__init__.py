"""The paper's claims, one file each, on settings of three sizes, and what runs say about them. No torch, no store.

``rows/*.toml``: a figure, an ablation or a table's claim. ``settings/*.toml``: an experiment to test claims on, named
``<scale>-<name>``. ``recorded.json``: what the runs at small scale gave that come with the program.
"""

from dropviz.replication.cost import HOW, Work, work
from dropviz.replication.outcomes import NOT_RUN, Judged, Outcome, SettingOutcome, outcome, shares
from dropviz.replication.paper import Row, row, rows
from dropviz.replication.results import RECORDED, own_path, own_results, read_results, recorded, results_text
from dropviz.replication.settings import SCALES, Scale, Setting, settings_of

__all__ = [
    "HOW",
    "NOT_RUN",
    "RECORDED",
    "SCALES",
    "Judged",
    "Outcome",
    "Row",
    "Scale",
    "Setting",
    "SettingOutcome",
    "Work",
    "outcome",
    "own_path",
    "own_results",
    "read_results",
    "recorded",
    "results_text",
    "row",
    "rows",
    "settings_of",
    "shares",
    "work",
]
