"""The Curvature page: how the loss bends around the weights."""

from dropviz.web import curvature

curvature.page()
