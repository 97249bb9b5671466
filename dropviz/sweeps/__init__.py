"""Sweeps: one experiment over the values of one or two knobs. What they are, ask, measure and cost; nothing here trains or stores."""

from dropviz.sweeps.knobs import Knob, Value, knobs, shown_value, usual_values
from dropviz.sweeps.measures import (
    Cell,
    Measure,
    Panel,
    measure_named,
    measured,
    measures,
    metrics_read,
    panels,
)
from dropviz.sweeps.questions import Question, question, question_names
from dropviz.sweeps.sweep import Axis, Sweep, check_sweep
from dropviz.sweeps.timing import SweepDuration, representatives, sweep_duration
from dropviz.sweeps.values import grid, read_values, read_vary

__all__ = [
    "Axis",
    "Cell",
    "Knob",
    "Measure",
    "Panel",
    "Question",
    "Sweep",
    "SweepDuration",
    "Value",
    "check_sweep",
    "grid",
    "knobs",
    "measure_named",
    "measured",
    "measures",
    "metrics_read",
    "panels",
    "question",
    "question_names",
    "read_values",
    "read_vary",
    "representatives",
    "shown_value",
    "sweep_duration",
    "usual_values",
]
