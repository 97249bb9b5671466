"""Dropout's effects in anybody's ``nn.Module``, unmodified: the terms of ``regularizers`` with a model of one's own.

Loss: softmax cross-entropy of logits (…, C), mean over all rows before the last axis (examples, or examples and time
steps); rows labelled −100 count neither in a value nor in a mean. Nothing of the model changes, and no global random state is read or written.
"""

from dropviz.modules.explicit import explicit_regularizer, measure_explicit_regularizer, second_order_term
from dropviz.modules.measured import Measured
from dropviz.modules.noise import implicit_noise, mask_noise, noise_covariance_trace
from dropviz.modules.training_losses import dropout_loss, surrogate_loss

__all__ = [
    "Measured",
    "dropout_loss",
    "explicit_regularizer",
    "implicit_noise",
    "mask_noise",
    "measure_explicit_regularizer",
    "noise_covariance_trace",
    "second_order_term",
    "surrogate_loss",
]
