"""What paired seeds say: intervals, and the decomposition of dropout's gain. No torch, no store, no sentences.

One procedure everywhere: means over seeds that were paired (same split, initialization and minibatches), 95 %
intervals by Student's t at n − 1 degrees of freedom, Fieller's for a ratio of two means, and none below three seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import stdtrit

from dropviz.strategies import largest_k

LEVEL = 0.95
FEWEST_SEEDS = 3  # below, an interval would say more about Student's t than about the experiment
# How close mask noise has to bring dropout-k back to dropout. Of a loss: 3 % of a perplexity, less than what a method has to
# gain for its report to be of interest, and of a standardized target 6 % of its variance.
EQUIVALENCE_MARGIN = {"accuracy": 0.02, "loss": 0.03}

Seeds = Mapping[int, float]
Verdict = Literal["dropout gains", "dropout costs", "no gain to explain", "anecdote", "incomplete"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number and its 95 % interval; the bounds are None below three seeds."""

    estimate: float
    lower: float | None = None
    upper: float | None = None

    def times(self, factor: float) -> Interval:
        """The same in another unit; −1 turns a gain into a cost."""
        lower, upper = (None if bound is None else factor * bound for bound in (self.lower, self.upper))
        if factor < 0:
            lower, upper = upper, lower
        return Interval(estimate=factor * self.estimate, lower=lower, upper=upper)

    def to_table(self) -> dict[str, float | None]:
        """As it stands in summary.json."""
        return {"estimate": self.estimate, "lower": self.lower, "upper": self.upper}


@dataclass(frozen=True, kw_only=True)
class MaskNoiseCheck:
    """Whether mask noise returns dropout-k to dropout: the paired difference, and is its interval in ± margin?"""

    difference: Interval
    margin: float
    equivalent: bool | None

    def to_table(self) -> dict[str, Any]:
        """As it stands in summary.json."""
        return self.difference.to_table() | {"margin": self.margin, "equivalent": self.equivalent}


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """How much of dropout's gain is which effect, over ``n`` paired seeds (Wei et al. 2020, section 3).

    Attributes:
        metric: What the gain is measured by; of a loss, minus its value counts.
        k: The largest k that was run: dropout-k keeps the explicit effect and 1/k of the noise.
        baseline: The mean of the metric without dropout, over the same seeds.
        gain: G = m(dropout) − m(none).
        explicit_share: (m(dropout-k) − m(none)) / G.
        implicit_share: 1 − explicit share.
        faithfulness: (m(explicit+implicit) − m(none)) / G: how much of it the formulas reproduce.
        mask_noise: The check that dropout-k with mask noise is dropout again.
        verdict: What may be said; the shares are there only where there is a gain to share.
    """

    metric: str
    k: int | None = None
    n: int = 0
    baseline: float | None = None
    gain: Interval | None = None
    explicit_share: Interval | None = None
    implicit_share: Interval | None = None
    faithfulness: Interval | None = None
    mask_noise: MaskNoiseCheck | None = None
    verdict: Verdict = "incomplete"

    def to_table(self) -> dict[str, Any]:
        """As it stands in summary.json."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: value.to_table() if isinstance(value, Interval | MaskNoiseCheck) else value
            for name, value in values.items()
        }


def quantile(n: int) -> float:
    """Student's t for a two-sided 95 % interval over n values."""
    return float(stdtrit(n - 1, 0.5 + LEVEL / 2))


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """The mean of independent values with its t interval."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < FEWEST_SEEDS:
        return Interval(estimate=mean)
    with np.errstate(invalid="ignore"):  # the spread of infinite values is no number
        half = quantile(len(values)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Interval(estimate=mean, lower=mean - half, upper=mean + half)


def mean_intervals(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``mean_interval`` of every row at once: values (n, seeds) → means and bounds (n,), NaN where there is no bound."""
    mean, n = values.mean(axis=1), values.shape[1]
    if n < FEWEST_SEEDS:
        nothing = np.full_like(mean, np.nan)
        return mean, nothing, nothing
    with np.errstate(invalid="ignore"):
        half = quantile(n) * values.std(axis=1, ddof=1) / math.sqrt(n)
    return mean, mean - half, mean + half


def welch_interval(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray) -> Interval:
    """The difference of two means, other − one, of values that do not pair, with Welch's t interval (Welch 1947).

    Its degrees of freedom are Satterthwaite's; there is none where either has fewer than three values.
    """
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    estimate = float(b.mean() - a.mean())
    if min(len(a), len(b)) < FEWEST_SEEDS:
        return Interval(estimate=estimate)
    with np.errstate(invalid="ignore"):
        parts = [float(values.var(ddof=1)) / len(values) for values in (a, b)]
    if not sum(parts) > 0:  # all alike, or not finite
        return Interval(estimate=estimate, lower=estimate + sum(parts), upper=estimate + sum(parts))
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True)
    )
    half = float(stdtrit(freedom, 0.5 + LEVEL / 2)) * math.sqrt(sum(parts))
    return Interval(estimate=estimate, lower=estimate - half, upper=estimate + half)


def ratio_interval(
    numerator: Sequence[float] | np.ndarray, denominator: Sequence[float] | np.ndarray
) -> Interval:
    """The ratio of two means over the same seeds, with Fieller's interval (Fieller 1954).

    The interval holds every r for which the mean of numerator − r · denominator does not differ from 0. It is bounded
    only where the denominator's mean differs from 0; elsewhere, and below three seeds, there is none.

    Raises:
        ZeroDivisionError: The denominator's mean is exactly 0: there is no ratio.
    """
    a, b = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    n, mean_a, mean_b = len(a), float(a.mean()), float(b.mean())
    estimate = mean_a / mean_b
    if n < FEWEST_SEEDS:
        return Interval(estimate=estimate)
    covariance = np.cov(a, b) * quantile(n) ** 2 / n
    (aa, ab), (_, bb) = covariance.tolist()
    # (mean_a − r mean_b)² ≤ aa − 2 r ab + r² bb: a quadratic in r
    square, linear, constant = mean_b**2 - bb, mean_a * mean_b - ab, mean_a**2 - aa
    if square <= 0:
        return Interval(estimate=estimate)
    half = math.sqrt(max(0.0, linear**2 - square * constant))
    return Interval(estimate=estimate, lower=(linear - half) / square, upper=(linear + half) / square)


def decompose(values: Mapping[str, Seeds], metric: str) -> Decomposition:
    """Take dropout's gain apart.

    Args:
        values: Arm → seed → the metric's value. All comparisons are over the seeds that none, dropout and the largest
            dropout-k have in common.
        metric: Its name, such as ``test/accuracy``; of a ``…/loss`` less is better.
    """
    if not {"none", "dropout"} <= values.keys():
        return Decomposition(metric=metric)
    k = largest_k(values)
    compared = ["none", "dropout", *([f"dropout-{k}"] if k else [])]
    seeds = sorted(set.intersection(*(set(values[arm]) for arm in compared)))
    if not seeds:
        return Decomposition(metric=metric, k=k)
    sign = -1.0 if metric.endswith("/loss") else 1.0

    def over_none(arm: str) -> np.ndarray | None:
        if arm not in values or not set(seeds) <= set(values[arm]):
            return None
        return sign * np.array([values[arm][seed] - values["none"][seed] for seed in seeds])

    gains = over_none("dropout")
    assert gains is not None
    gain = mean_interval(gains)
    if not math.isfinite(gain.estimate):
        return Decomposition(metric=metric, k=k, n=len(seeds))
    verdict = _verdict(gain)
    shares: dict[str, Interval] = {}
    if verdict in ("dropout gains", "anecdote") and gain.estimate > 0:
        shares = _shares(gains, over_none(f"dropout-{k}"), over_none("explicit+implicit"))
    return Decomposition(
        metric=metric,
        k=k,
        n=len(seeds),
        baseline=float(np.mean([values["none"][seed] for seed in seeds])),
        gain=gain,
        mask_noise=_mask_noise(metric, gains, over_none(f"dropout-{k}+mask-noise")),
        verdict=verdict,
        **shares,
    )


def _verdict(gain: Interval) -> Verdict:
    if gain.lower is None or gain.upper is None:
        return "anecdote"
    if gain.lower <= 0 <= gain.upper:
        return "no gain to explain"
    return "dropout gains" if gain.lower > 0 else "dropout costs"


def _shares(
    gains: np.ndarray, explicit: np.ndarray | None, formulas: np.ndarray | None
) -> dict[str, Interval]:
    shares = {}
    if explicit is not None:
        share = ratio_interval(explicit, gains)
        lower, upper = (None if bound is None else 1 - bound for bound in (share.upper, share.lower))
        shares["explicit_share"] = share
        shares["implicit_share"] = Interval(estimate=1 - share.estimate, lower=lower, upper=upper)
    if formulas is not None:
        shares["faithfulness"] = ratio_interval(formulas, gains)
    return shares


def _mask_noise(metric: str, gains: np.ndarray, restored: np.ndarray | None) -> MaskNoiseCheck | None:
    margin = EQUIVALENCE_MARGIN.get(metric.partition("/")[2])
    if restored is None or margin is None:
        return None
    difference = mean_interval(restored - gains)
    inside = None
    if difference.lower is not None and difference.upper is not None:
        inside = -margin < difference.lower and difference.upper < margin
    return MaskNoiseCheck(difference=difference, margin=margin, equivalent=inside)
