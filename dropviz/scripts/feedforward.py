"""The feed-forward net of a Transformer's layer as code: examples and texts have the same."""

from __future__ import annotations

from collections.abc import Collection

from dropviz.scripts.network import ACTIVATIONS, function, masked


def feedforward(activation: str, kinds: Collection[str]) -> str:
    """``feedforward`` of a layer.

    Args:
        activation: Its name.
        kinds: Of sites, where the model drops.
    """
    inner = 'affine(rows, w[f"inner_weight{layer}"], w[f"inner_bias{layer}"])'
    return function(
        "feedforward(w, layer, h, mask)",
        "What the feed-forward net of a layer adds.",
        [
            'rows = layer_norm(h, w[f"feedforward_gain{layer}"], w[f"feedforward_shift{layer}"])',
            f"inner = {ACTIVATIONS[activation]}({inner})"
            + masked("feedforward{layer}", kinds, "feedforward"),
            'return affine(inner, w[f"outer_weight{layer}"], w[f"outer_bias{layer}"])',
        ],
    )
