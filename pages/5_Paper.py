"""The Paper page: its figures and claims against runs of this program."""

from dropviz.web import paper

paper.page()
