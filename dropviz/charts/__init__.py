"""Charts, one file each: plotly figures with empty traces that say in their ``meta`` what they show.

The live board in the browser (``web/browser/live_board``) fills them. Drawing only: nothing here computes a statistic, reads a
store or imports streamlit.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache, lru_cache

from dropviz.charts.chart import Chart, Page, Subject
from dropviz.charts.style import ArmStyle, arm_style, dark_partners, template
from dropviz.registry import accepted, modules_of

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
    """Every chart of a page, or of all: the ``chart`` of each module of this folder and of extensions, in reading order."""
    found = (chart for chart in sources().values() if page in (None, chart.page))
    return sorted(found, key=lambda chart: chart.place)


@cache
def sources() -> dict[str, Chart]:
    """Module → its chart, of this folder and of extensions."""
    modules = modules_of(__name__)
    found = [(one.__name__, one.chart) for one in modules if isinstance(getattr(one, "chart", None), Chart)]
    return dict(accepted("chart", found, lambda pair: pair[0], _fault))


def _fault(pair: tuple[str, Chart], before: Sequence[tuple[str, Chart]]) -> str:
    name = pair[1].name
    taken = name in (other.name for _, other in before)
    return f"there is one named {name!r} already, so give it another name" if taken else ""


@lru_cache(maxsize=4096)
def reads(page: Page, metric: str) -> bool:
    """Whether any chart of this page reads this metric."""
    return any(fnmatchcase(metric, pattern) for chart in charts(page) for pattern in chart.metrics)
