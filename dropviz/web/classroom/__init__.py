"""A class: its teacher, its members, and everybody's runs in one band."""
