"""Curvature of a loss in its parameters, without forming a matrix.

For any ``nn.Module``: products, traces, eigenvalues and spectral density of the Hessian H and the Gauss-Newton matrix
G = JᵀH_outJ, and how dropout's gradient noise lies to H. All of it is of the loss at ε = 0, without dropout, on the rows that
are given; nothing of the model changes, and no global random state is read or written.

For stacked parameters, which the statistics have, the same core: a vector in parameter space is (S, P), one row a seed, the
parameters of that seed laid end to end. The seeds are independent problems that share each product.
"""

from dropviz.curvature.alignment import Alignment, aligned, gradient_noise_alignment
from dropviz.curvature.lanczos import LargestEigenvalue, Ritz, lanczos, largest_eigenvalue
from dropviz.curvature.measures import (
    ggn_trace,
    ggn_vector_product,
    hessian_trace,
    hessian_vector_product,
)
from dropviz.curvature.probe import Probe
from dropviz.curvature.products import GaussNewtonProduct, HessianProduct
from dropviz.curvature.spectra import Eigenpairs, SpectralDensity, spectral_density, top_eigenvalues
from dropviz.curvature.trace import hutchinson_trace, xtrace

__all__ = [
    "Alignment",
    "Eigenpairs",
    "GaussNewtonProduct",
    "HessianProduct",
    "LargestEigenvalue",
    "Probe",
    "Ritz",
    "SpectralDensity",
    "aligned",
    "ggn_trace",
    "ggn_vector_product",
    "gradient_noise_alignment",
    "hessian_trace",
    "hessian_vector_product",
    "hutchinson_trace",
    "lanczos",
    "largest_eigenvalue",
    "spectral_density",
    "top_eigenvalues",
    "xtrace",
]
