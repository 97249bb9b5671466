"""What numbers over seeds say: intervals, the decomposition, claims, comparisons, and all of it in words."""

from dropviz.analysis.intervals import (
    EQUIVALENCE_MARGIN,
    FEWEST_SEEDS,
    LEVEL,
    Decomposition,
    Interval,
    MaskNoiseCheck,
    Seeds,
    Verdict,
    decompose,
    mean_interval,
    mean_intervals,
    quantile,
    ratio_interval,
    welch_interval,
)

__all__ = [
    "EQUIVALENCE_MARGIN",
    "FEWEST_SEEDS",
    "LEVEL",
    "Decomposition",
    "Interval",
    "MaskNoiseCheck",
    "Seeds",
    "Verdict",
    "decompose",
    "mean_interval",
    "mean_intervals",
    "quantile",
    "ratio_interval",
    "welch_interval",
]
