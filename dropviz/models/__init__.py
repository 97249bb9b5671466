"""Models: one file each, stacked from the start.

Every tensor carries a leading seed axis, so eight seeds are one program and a single network is the case of
one seed. A model is a function of its parameters, its input **and of how its dropout sites behave**.
"""

from dropviz.models.fitting import fitting, usual
from dropviz.models.model import Model
from dropviz.registry import Registry

registry: Registry[Model] = Registry(__name__, Model, "model")

__all__ = ["Model", "fitting", "registry", "usual"]
