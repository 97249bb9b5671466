"""The Compare page: runs beside each other."""

from dropviz.web import compare

compare.page()
