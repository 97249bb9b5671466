"""The What-if page: sweeps over one or two knobs."""
