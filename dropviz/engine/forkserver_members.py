"""Preloaded by the fork server: every data set, model, strategy and statistic, and the code's version, so that no child has to
import the ones and read the code for the other. Extensions are not: a child takes those as they are when it starts."""

from dropviz.experiment import code_version
from dropviz.registry import own_modules

for package in ("datasets", "models", "strategies", "statistics"):
    own_modules(f"dropviz.{package}")
code_version()
