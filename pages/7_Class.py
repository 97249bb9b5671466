"""The Class page: a link for students, and everybody's results."""

from dropviz.web.classroom import page as class_page

class_page.page()
