"""The System page: workers, jobs and this installation."""

from dropviz.web.system.page import page

page()
