"""How fast DropViz is, as ratios within one run: ``python -m benchmarks [NAMES…] [--quick] [--json FILE]``.

Absolute numbers belong to the machine that printed them. What travels is the quotient of two things that were
measured in turns within one run. No test asserts any of these numbers.
"""
