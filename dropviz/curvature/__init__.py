"""Curvature of a loss in its parameters, without forming a matrix, for stacked parameters.

A vector in parameter space is (S, P): one row a seed, the parameters of that seed laid end to end. All
functions treat the seeds as independent problems that share each product.
"""

from dropviz.curvature.lanczos import LargestEigenvalue, Ritz, lanczos, largest_eigenvalue
from dropviz.curvature.products import GaussNewtonProduct, HessianProduct
from dropviz.curvature.trace import hutchinson_trace, xtrace

__all__ = [
    "GaussNewtonProduct",
    "HessianProduct",
    "LargestEigenvalue",
    "Ritz",
    "hutchinson_trace",
    "lanczos",
    "largest_eigenvalue",
    "xtrace",
]
