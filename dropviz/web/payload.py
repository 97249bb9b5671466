"""What travels to the live board: the whole of it, and the part that one page draws."""

from __future__ import annotations

from typing import Any

from dropviz.charts import Page, reads

PICTURES = ("surfaces", "samples")  # the newest of each arm
STORY = ("headline", "ladder", "ladder_title", "effects")


class BadRequest(ValueError):
    """What was asked for is no request of the board's; the message says in a sentence what would be one."""


class NoArray(LookupError):
    """There is no array of this kind at this step."""

    def __init__(self, kind: str, step: int) -> None:
        super().__init__(f"There is no {kind} at step {step:,} of this experiment.")


def for_page(payload: dict[str, Any], page: Page | None) -> dict[str, Any]:
    """The payload without what this page does not draw; all of it where none is named.

    The numbers of metrics are the page's own. They grow only at the end, so that answers fit together.
    """
    if page is None:
        return payload
    kept = [number for number, metric in enumerate(payload["metrics"]) if reads(page, metric)]
    place = {number: new for new, number in enumerate(kept)}
    rows = [[arm, place[metric], *rest] for arm, metric, *rest in payload["rows"] if metric in place]
    left_out = ("arrays",) if page == "lab" else (*PICTURES, *STORY)
    return {key: value for key, value in payload.items() if key not in left_out} | {
        "metrics": [payload["metrics"][number] for number in kept],
        "rows": rows,
    }
