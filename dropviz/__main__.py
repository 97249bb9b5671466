"""``python -m dropviz``: the same as the ``dropviz`` command."""

from dropviz.cli import main

if __name__ == "__main__":
    main()
