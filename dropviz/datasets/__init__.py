"""Data sets: one file each; numpy in, splits out. No torch, no network.

``registry`` finds every module of this folder. A data set draws its splits and its label noise from the
seed that it is given: all arms of one seed see the same data, different seeds see different splits.
"""

from dropviz.datasets.dataset import Dataset, Splits, Text
from dropviz.registry import Registry

registry: Registry[Dataset] = Registry(__name__, Dataset, "data set")

__all__ = ["Dataset", "Splits", "Text", "registry"]
