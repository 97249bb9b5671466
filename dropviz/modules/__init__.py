"""Dropout's effects in anybody's ``nn.Module``, unmodified: the terms of ``regularizers`` with a model of one's own.

Losses: by name (``cross_entropy``, ``half_squared_error``, ``binary_cross_entropy``) or as an object, see
``losses.read_loss``; summed over outputs, mean over all rows of the logits (examples, or examples and time steps).
``weight`` gives the rows other weights in that mean, 0 for padding; with class labels, rows labelled ``ignore_index``
have weight 0. Nothing of the model changes but what its own forward pass writes into parameters (``nn.Embedding(max_norm=…)``) or
attributes; the input is copied for each pass; no global random state is read or written. One call at a time on one model, and no
other thread that draws from torch's global generator meanwhile.
"""

from dropviz.modules.explicit import explicit_regularizer, measure_explicit_regularizer, second_order_term
from dropviz.modules.noise import implicit_noise, mask_noise, noise_covariance_trace
from dropviz.modules.training_losses import dropout_loss, surrogate_loss

__all__ = [
    "dropout_loss",
    "explicit_regularizer",
    "implicit_noise",
    "mask_noise",
    "measure_explicit_regularizer",
    "noise_covariance_trace",
    "second_order_term",
    "surrogate_loss",
]
