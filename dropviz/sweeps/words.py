"""A cell's number as people read it."""

from __future__ import annotations

from dropviz.sweeps.measures import Cell, Measure

MARK = "*"  # at a number whose interval excludes the measure's reference


def number(measure: Measure, value: float) -> str:
    """A value in the measure's unit, with its decimals and a proper minus."""
    text = f"{measure.factor * value:.{measure.digits}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


def brief(measure: Measure, cell: Cell) -> str:
    """What stands in a cell: the number with its mark, or a dash where there is none."""
    if cell.interval is None:
        return "–"
    return number(measure, cell.interval.estimate) + (MARK if cell.distinct else "")


def told(measure: Measure, cell: Cell) -> str:
    """The number with its interval and n, or why there is none."""
    if cell.interval is None:
        return cell.reason
    seeds = f"n = {cell.n}"
    return " ".join(filter(None, (number(measure, cell.interval.estimate), bounds(measure, cell), seeds)))


def bounds(measure: Measure, cell: Cell) -> str:
    """The interval in brackets, where there is one."""
    if cell.interval is None or cell.interval.lower is None or cell.interval.upper is None:
        return ""
    return f"[{number(measure, cell.interval.lower)}, {number(measure, cell.interval.upper)}]"


def key_of_marks(measure: Measure) -> str:
    """What the mark says, where this measure has marks."""
    if measure.reference is None:
        return ""
    return f"{MARK} the 95 % interval excludes {number(measure, measure.reference)}"
