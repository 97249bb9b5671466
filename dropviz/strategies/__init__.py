"""Training strategies, called arms where several are compared: one file a family.

An arm's name says what it does: ``none``, ``dropout``, ``dropout-8``, ``dropout-8+mask-noise``,
``dropout-8+analytic-noise``, ``explicit``, ``implicit``, ``explicit+implicit``; the ablations ``explicit-identity``,
``explicit-loss-jacobian`` and ``explicit-argmax``; ``l2``, ``linearized``, ``gaussian``; and ``dropout@500:explicit``, which goes
on as another one from a step on. Each family declares the pattern of its names; ``strategy(name)`` finds the family and reads
the name's parts.
"""

from dropviz.strategies.dropout import largest_k
from dropviz.strategies.strategy import Strategy, examples, label, strategy
from dropviz.strategies.switched import forked

__all__ = ["Strategy", "examples", "forked", "label", "largest_k", "strategy"]
