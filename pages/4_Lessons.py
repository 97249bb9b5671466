"""The Lessons page: guided experiments, each predicted before it is run."""

from dropviz.web import lessons

lessons.page()
