"""The Lab: choose, train, watch."""

from dropviz.web import lab

lab.page()
