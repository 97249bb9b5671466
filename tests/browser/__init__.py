"""Tests that only a real browser can make, and the command that takes the pictures of the documentation."""
