"""The Lessons page: guided experiments, each predicted before it is run."""

from dropviz.web.lessons import page as lessons

lessons.page()
