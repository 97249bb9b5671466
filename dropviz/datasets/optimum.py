"""What the best possible model reaches on data whose distribution is known: expected loss and accuracy, by quadrature.

Both reduce to independent Gaussian logits z_c with one deviation s, as the class means and the teacher's weights are
orthogonal to each other. With Z = Σ_c exp(z_c) and G(u) = E exp(−exp(u + z)), expectations over all C logits are
integrals over u alone: log Z = ∫ exp(−eᵘ) − exp(−eᵘZ) du and 1/Z = ∫ eᵘ exp(−eᵘZ) du, in which the exponential of a
sum is a product of C independent factors. The sums over even grids converge exponentially: losses are right to 10⁻⁹,
accuracies to 10⁻⁶.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np

TAIL = 9.0  # deviations beyond which a Gaussian has no weight in double precision
CERTAIN = 16.0  # separation from which on errors are rarer than 10⁻¹³
STEP = 0.25  # of the grids over u


def cosine_basis(count: int, dimension: int) -> np.ndarray:
    """Orthonormal rows (count, dimension), count ≤ dimension: the first cosines of the DCT-II."""
    wave = np.cos(np.pi * np.outer(np.arange(count), np.arange(dimension) + 0.5) / dimension)
    return wave * np.where(np.arange(count) == 0, sqrt(1 / dimension), sqrt(2 / dimension))[:, None]


def mixture_optimum(separation: float, classes: int) -> dict[str, float]:
    """Of Gaussians with unit covariance and equal weight, any two of whose means are ``separation`` apart.

    With a = separation / √2 the log posteriors are those of z_1 ~ N(a², a²) for the true class and z_c ~ N(0, a²), so
    the loss is E log Z − a², and the accuracy is E Φ(n + a)^(C − 1) with a standard normal n.
    """
    if separation >= CERTAIN:
        return {"optimum/loss": 0.0, "optimum/accuracy": 1.0}
    if separation == 0:
        return {"optimum/loss": log(classes), "optimum/accuracy": 1 / classes}
    from scipy.special import ndtr

    a = separation / sqrt(2)
    normal, weight = _normal_grid(STEP)
    return {
        "optimum/loss": max(0.0, _log_sum_exp(a, classes, shift=a * a) - a * a),
        "optimum/accuracy": float(weight @ ndtr(normal + a) ** (classes - 1)),
    }


def softmax_optimum(deviation: float, classes: int) -> dict[str, float]:
    """Of labels drawn from the softmax p of independent logits z ~ N(0, s²): the entropy E H(p), and E max p.

    H(p) = log Z − Σ p_c z_c, whose second term is C E z_1 exp(z_1) / Z. E max p is C times the expectation of p_1 where
    z_1 is the largest.
    """
    s = deviation
    normal, weight = _normal_grid(0.1 / max(1, s))  # finer: the correction below is one of fourth order
    u = np.arange(-s * TAIL - log(classes) - 40, s * TAIL + 6, STEP)
    v = np.exp(u[:, None] + s * normal)
    survival = np.exp(-v)  # of shape (u, normal)
    density = v * survival  # minus its derivative by u
    others = (survival @ weight) ** (classes - 1)
    mean_logit = STEP * (density @ (weight * s * normal) * others).sum()
    # Below the largest logit: the integral up to each point of the grid, by the trapezoid rule with its first correction.
    f = survival * weight
    below = np.cumsum(f, axis=1) - f / 2 + (normal[1] - normal[0]) / 12 * (normal + s * v) * f
    largest = STEP * ((density * weight) * below ** (classes - 1)).sum()
    return {
        "optimum/loss": max(0.0, _log_sum_exp(s, classes) - classes * float(mean_logit)),
        "optimum/accuracy": min(1.0, classes * float(largest)),
    }


def xor_optimum(noise: float) -> dict[str, float]:
    """Of the corners (±1, ±1) with this standard deviation on both axes, of which opposite ones are of one class.

    The best guess takes the sign of each coordinate: it is right where both are, or neither is. The log odds of the
    signs are l = 2 x / σ².
    """
    if noise < 0.15:  # a sign is wrong with a probability of 10⁻¹¹
        return {"optimum/loss": 0.0, "optimum/accuracy": 1.0}
    from scipy.special import ndtr

    normal, weight = _normal_grid(min(STEP, noise / 2))
    odds = 2 * (1 + noise * normal) / noise**2
    right, wrong = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
    same = np.logaddexp(right[:, None] + right, wrong[:, None] + wrong)
    sign = float(ndtr(1 / noise))
    return {
        "optimum/loss": -float(weight @ same @ weight),
        "optimum/accuracy": sign**2 + (1 - sign) ** 2,
    }


def _log_sum_exp(deviation: float, classes: int, shift: float = 0.0) -> float:
    """E log Σ_c exp(z_c) of independent z_c ~ N(0, s²), the first of them shifted."""
    s = deviation
    normal, weight = _normal_grid(STEP / max(1, s))
    u = np.arange(-shift - s * TAIL - log(classes) - 40, s * TAIL + 6, STEP)

    def factor(u: np.ndarray) -> np.ndarray:
        return np.exp(-np.exp(u[:, None] + s * normal)) @ weight

    return STEP * float((np.exp(-np.exp(u)) - factor(u + shift) * factor(u) ** (classes - 1)).sum())


def _normal_grid(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of a standard normal number and their weights: the trapezoid rule."""
    normal = step * np.arange(-round(TAIL / step), round(TAIL / step) + 1)
    return normal, step * np.exp(-(normal**2) / 2) / sqrt(2 * np.pi)
