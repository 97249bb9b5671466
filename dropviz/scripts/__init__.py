"""Any arm of an experiment as one Python file that needs no DropViz: plain PyTorch, to read, to run and to paste from.

``parts/`` holds functions that go into scripts as they stand; the modules beside it write what depends on an experiment's
choices, one module each for arms, models, data, settings and the training loop. ``assembling`` picks what a script uses.
Nothing here imports torch.
"""

from dropviz.scripts.script import Script, script_of

__all__ = ["Script", "script_of"]
