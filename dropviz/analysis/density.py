"""Spectral densities on one symmetric-log grid, the same for every experiment, so that any two can be compared.

An eigenvalue λ has the place sign(λ) log₁₀(1 + |λ| / SCALE): linear around 0, a decade a unit far from it. No torch, no store.
"""

from __future__ import annotations

from math import floor, log10

import numpy as np

SCALE = 1e-3  # eigenvalues below it count as near 0
LOWEST, HIGHEST = -6.0, 8.0  # places: from −10³ to 10⁵; what lies beyond counts at the end
SPACING = 0.1
WIDTH = 0.2  # of the Gaussian that a node is drawn as, in decades: as coarse as 20 Lanczos steps see


def place(values: np.ndarray) -> np.ndarray:
    """Where eigenvalues lie on the grid's axis."""
    return np.sign(values) * np.log10(1 + np.abs(values) / SCALE)


def grid() -> np.ndarray:
    """The places at which a density is given, ``SPACING`` apart."""
    return LOWEST + SPACING * np.arange(round((HIGHEST - LOWEST) / SPACING) + 1)


def averaged(nodes_and_weights: np.ndarray) -> np.ndarray | None:
    """The mean over seeds of their densities: the share of the eigenvalues a unit of place, at each point of the grid.

    Args:
        nodes_and_weights: (S, n, 2), each seed's weights summing to 1. Seeds that are not finite are left out.

    Returns:
        As many numbers as ``grid``, which add up to 1 / ``SPACING``; None where no seed is finite. Cost: S n Gaussians.
    """
    finite = np.isfinite(nodes_and_weights).all(axis=(1, 2))
    seeds = nodes_and_weights[finite].astype(np.float64)
    if not len(seeds):
        return None
    points = grid()
    centers = place(seeds[..., 0]).clip(points[0], points[-1]).ravel()
    bumps = np.exp(-0.5 * ((points - centers[:, None]) / WIDTH) ** 2)
    bumps /= SPACING * bumps.sum(
        axis=1, keepdims=True
    )  # so that none is lost at an end or between two points
    mean: np.ndarray = seeds[..., 1].ravel() @ bumps / len(seeds)
    return mean


def ticks() -> tuple[list[float], list[str]]:
    """Places and labels of an axis: 0, and the powers of ten on both sides of it that do not crowd it."""
    powers = range(floor(log10(SCALE)) + 2, round(HIGHEST + log10(SCALE)) + 1)
    values = [0.0, *(sign * 10.0**power for power in powers for sign in (-1, 1))]
    shown = sorted(value for value in values if LOWEST <= float(place(np.array(value))) <= HIGHEST)
    return [round(float(place(np.array(value))), 4) for value in shown], [
        f"{value:g}".replace("-", "−") for value in shown
    ]
