"""Text as token numbers: tokenizers, vocabularies, and encoding that streams."""

from dropviz.text.vocabulary import UNKNOWN, Vocabulary

__all__ = ["UNKNOWN", "Vocabulary"]
