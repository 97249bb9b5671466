"""Charts, one file each: plotly figures with empty traces that say in their ``meta`` what they show.

The live board in the browser (``web/live_board``) fills them. Drawing only: nothing here computes a statistic, reads a
store or imports streamlit.
"""

from dropviz.charts.chart import Chart, Subject
from dropviz.charts.style import ArmStyle, arm_style, template
from dropviz.registry import modules_of

__all__ = ["ArmStyle", "Chart", "Subject", "arm_style", "charts", "template"]


def charts() -> list[Chart]:
    """Every chart: the ``chart`` of each module of this folder, in reading order."""
    found = [
        module.chart for module in modules_of(__name__) if isinstance(getattr(module, "chart", None), Chart)
    ]
    return sorted(found, key=lambda chart: chart.place)
