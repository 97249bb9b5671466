"""Charts, one file each: plotly figures with empty traces that say in their ``meta`` what they show.

The live board in the browser (``web/live_board``) fills them. Drawing only: nothing here computes a statistic, reads a
store or imports streamlit.
"""

from fnmatch import fnmatchcase
from functools import lru_cache

from dropviz.charts.chart import Chart, Page, Subject
from dropviz.charts.style import ArmStyle, arm_style, dark_partners, template
from dropviz.registry import modules_of

__all__ = [
    "ArmStyle",
    "Chart",
    "Page",
    "Subject",
    "arm_style",
    "charts",
    "dark_partners",
    "reads",
    "template",
]


def charts(page: Page | None = None) -> list[Chart]:
    """Every chart of a page, or of all: the ``chart`` of each module of this folder, in reading order."""
    modules = modules_of(__name__)
    found = [module.chart for module in modules if isinstance(getattr(module, "chart", None), Chart)]
    return sorted((chart for chart in found if page in (None, chart.page)), key=lambda chart: chart.place)


@lru_cache(maxsize=4096)
def reads(page: Page, metric: str) -> bool:
    """Whether any chart of this page reads this metric."""
    return any(fnmatchcase(metric, pattern) for chart in charts(page) for pattern in chart.metrics)
