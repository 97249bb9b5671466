"""The web half: pages, forms, the live board and its data route. The only package that imports streamlit; never torch.

Importing any module of it is harmless: nothing is drawn, opened or started until a function is called.
"""
