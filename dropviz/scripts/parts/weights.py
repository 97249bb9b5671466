"""Weights at hand."""


def copied(w):
    """The weights as they are now."""
    return {name: value.detach().clone() for name, value in w.items()}
