"""Dropout's explicit regularizer and implicit noise: by definition, and by formula.

A ``Network`` is one minibatch of a model, of any model, as a function of its dropout sites' behaviour. From it come the
loss terms of every arm (``objectives``), the estimators of R_approx (``explicit``) and the analytic noise (``implicit``).
The dashboard's stacked models and anybody's ``nn.Module`` use the same functions.

Source: Wei, Kakade & Ma, ICML 2020, arXiv:2002.12915, sections 3 to 5.
Shapes: S seeds, R replicas, B or N rows, C outputs, K directions in output space, W units of a site.
"""

from dropviz.regularizers.explicit import (
    Estimator,
    Hessian,
    closed_share,
    exact_regularizer,
    exact_shares,
    explicit_shares,
    masked_losses,
    monte_carlo,
    site_jacobians,
)
from dropviz.regularizers.implicit import implicit_term, implicit_terms, jacobian_noise
from dropviz.regularizers.network import LossTerms, Network, Tangent, slopes, tangent
from dropviz.regularizers.objectives import (
    Choices,
    Surrogate,
    dropout_loss,
    gaussian_loss,
    l2_loss,
    linearized_loss,
    plain_loss,
    surrogate_loss,
)

__all__ = [
    "Choices",
    "Estimator",
    "Hessian",
    "LossTerms",
    "Network",
    "Surrogate",
    "Tangent",
    "closed_share",
    "dropout_loss",
    "exact_regularizer",
    "exact_shares",
    "explicit_shares",
    "gaussian_loss",
    "implicit_term",
    "implicit_terms",
    "jacobian_noise",
    "l2_loss",
    "linearized_loss",
    "masked_losses",
    "monte_carlo",
    "plain_loss",
    "site_jacobians",
    "slopes",
    "surrogate_loss",
    "tangent",
]
