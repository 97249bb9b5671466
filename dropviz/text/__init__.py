"""Text as token numbers: tokenizers, vocabularies, and encoding that streams. Numpy only."""

from dropviz.text.encoding import encode
from dropviz.text.lines import file_lines, member_lines
from dropviz.text.streaming import encode_lines
from dropviz.text.tokenizers import CHARACTERS, LINES, TOKENIZERS, WORDS, Tokenizer
from dropviz.text.unigram import unigram_loss
from dropviz.text.vocabulary import UNKNOWN, Vocabulary, vocabulary_of

__all__ = [
    "CHARACTERS",
    "LINES",
    "TOKENIZERS",
    "UNKNOWN",
    "WORDS",
    "Tokenizer",
    "Vocabulary",
    "encode",
    "encode_lines",
    "file_lines",
    "member_lines",
    "unigram_loss",
    "vocabulary_of",
]
