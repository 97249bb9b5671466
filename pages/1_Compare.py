"""The Compare page: runs beside each other."""

from dropviz.web.compare import page as compare

compare.page()
