"""Curvature of a loss in its parameters, without forming a matrix, for stacked parameters.

A vector in parameter space is (S, P): one row a seed, the parameters of that seed laid end to end. All
functions treat the seeds as independent problems that share each product.
"""

from dropviz.curvature.lanczos import LargestEigenvalue, largest_eigenvalue
from dropviz.curvature.products import HessianProduct
from dropviz.curvature.trace import hutchinson_trace

__all__ = ["HessianProduct", "LargestEigenvalue", "hutchinson_trace", "largest_eigenvalue"]
