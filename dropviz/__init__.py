"""DropViz: see what dropout does to training, split into its explicit and its implicit effect.

The package loads lazily: ``import dropviz`` costs nothing and imports neither torch nor streamlit.
The public names below are fetched from their modules on first use.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "DropoutSite": "dropviz.sites",
    "dropout_sites": "dropviz.sites",
    "explicit_regularizer": "dropviz.modules",
    "measure_explicit_regularizer": "dropviz.modules",
    "second_order_term": "dropviz.modules",
    "implicit_noise": "dropviz.modules",
    "mask_noise": "dropviz.modules",
    "noise_covariance_trace": "dropviz.modules",
    "surrogate_loss": "dropviz.modules",
    "dropout_loss": "dropviz.modules",
    "Estimate": "dropviz.estimate",
    "LossTerms": "dropviz.regularizers",
    "ExperimentSpec": "dropviz.experiment",
    "SpecError": "dropviz.choices",
    "load_spec": "dropviz.experiment",
    "preset": "dropviz.experiment",
    "Block": "dropviz.training",
    "decompose": "dropviz.analysis",
    "Store": "dropviz.store",
}

_PARTS = ("curvature",)  # modules that are asked for as such

__all__ = ["__version__", *_HOMES, *_PARTS]


def __getattr__(name: str) -> object:
    """Import the module that defines ``name`` when somebody first asks for it."""
    if name in _PARTS:
        return import_module(f"dropviz.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'dropviz' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)
