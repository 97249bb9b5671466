"""The System page: workers, jobs and this installation."""

from dropviz.web import system

system.page()
