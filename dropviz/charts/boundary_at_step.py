"""The decision boundaries of the Lab, at the step that the scrubber chooses."""

from __future__ import annotations

from dataclasses import replace

from dropviz.charts import boundary

chart = replace(
    boundary.chart,
    name="boundary-at-step",
    place=190,
    title="Decision boundaries at the step",
    page="curvature",
    at_step=True,
)
