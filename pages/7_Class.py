"""The Class page: a link for students, and everybody's results."""

from dropviz.web import class_page

class_page.page()
