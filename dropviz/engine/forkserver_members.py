"""Preloaded by the fork server: every data set, model, strategy and statistic, and the code's version, so that no child has to
import the ones and read the code for the other."""

from dropviz.experiment import code_version
from dropviz.registry import modules_of

for package in ("datasets", "models", "strategies", "statistics"):
    list(modules_of(f"dropviz.{package}"))
code_version()
