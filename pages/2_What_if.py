"""What-if: vary one or two knobs and see where an answer changes."""

from dropviz.web.whatif import page as whatif

whatif.page()
