"""What a visitor typed is shown as typed, and read aloud without marks that are not there."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dropviz.web.plain import CUT, plain

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
SIGNS = [
    *"ab1 0\n\t\\`*_{}[]()#+-.!|<>~:$&;=^/@\"'%,",
    "&amp;",
    "---",
    "***",
    "12.",
    "[a]: b",
    "<a>",
    "```",
    "~~~",
    "\n\n",
    "    ",
]


def shown(text: str) -> str:
    """What a reader of markdown sees of the text, which must be nothing but paragraphs."""
    seen = ""
    for token in MARKDOWN.parse(plain(text)):
        assert token.type in ("paragraph_open", "inline", "paragraph_close")
        for child in token.children or ():
            assert child.type in ("text", "text_special", "softbreak", "hardbreak")
            seen += child.content or "\n"
        seen += "\n" if token.type == "paragraph_close" else ""
    return " ".join(seen.replace(CUT, "").split())


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(SIGNS), max_size=24).map("".join))
@example("'*bold*' is not an arm")
@example("![x](https://example.org/x.png)")
@example("[a](b) <b>c</b> `d` $e$ ~~f~~ :red[g] :material/add:")
@example("# 1. - + > | back\\slash_and_more_")
@example("a heading\n===\n| a | b |\n| - | - |")
@example(" # one\n  > two\n - three\n 4. four\n  ===")
@example("123. a list\n\n    code")
def test_escaped_text_reads_as_it_was(text: str) -> None:
    assert shown(text) == " ".join(text.split())


@pytest.mark.parametrize(
    "label",
    [
        "two-moons · mlp16 · p=.5 · steps=60 · lr=.3",
        "train_size, 3 of 4 (early)",
        "None: 2.5 points!",
        "10.0 kB",
        "-3 points",
    ],
)
def test_a_label_that_means_nothing_to_markdown_is_read_aloud_without_backslashes(label: str) -> None:
    assert plain(label) == label


def test_parts_of_a_sentence_keep_the_spaces_between_them() -> None:
    parts = [("Here dropout gains ", False), ("4.1", True), (" points.", False)]
    assert "".join(f"**{plain(part)}**" if strong else plain(part) for part, strong in parts) == (
        "Here dropout gains **4.1** points."
    )


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("see HTTPS://example.org/a", "see HTTPS:|//example.org/a"),
        ("www.example.org or Www.example.org", "www|.example.org or Www|.example.org"),
        ("ada@example.org", "ada@|example.org"),
        (":material/add: :smile:", ":|material/add: :|smile:"),
        ("a -> b -- c >= d ~= e", "a -|> b -|- c >|= d ~|= e"),
        ("dropout@500:explicit, 3 @ 4", "dropout@500:explicit, 3 @ 4"),  # may be copied into a command
        ("http: is no address, nor is www", "http: is no address, nor is www"),
    ],
)
def test_what_is_sought_behind_backslashes_is_cut(text: str, cut: str) -> None:
    assert plain(text).replace("\\", "") == cut.replace("|", CUT)
