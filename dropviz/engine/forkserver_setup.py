"""Preloaded first by the fork server: ties it to the engine, so that it dies while torch is still being imported.

Multiprocessing offers no other hook into that process. Imported anywhere else, this module does nothing.
"""

import sys

from dropviz.engine.lifeline import die_with_parent

if any("multiprocessing.forkserver" in argument for argument in sys.orig_argv):
    die_with_parent()
