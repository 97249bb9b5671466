"""What a visitor typed is shown as typed."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from dropviz.web.plain import CUT, plain


@pytest.mark.parametrize(
    "text",
    [
        "'*bold*' is not an arm",
        "![x](https://example.org/x.png)",
        "[a](b) <b>c</b> `d` $e$ ~~f~~ :red[g] :material/add:",
        "# 1. - + > | back\\slash_and_more_",
        "train.steps = 0 is not possible: it must be at least 1.",
    ],
)
def test_escaped_text_reads_as_it_was(text: str) -> None:
    (paragraph,) = [token for token in MarkdownIt("commonmark").parse(plain(text)) if token.type == "inline"]
    assert {child.type for child in paragraph.children or ()} <= {"text", "text_special"}
    assert "".join(child.content for child in paragraph.children or ()).replace(CUT, "") == text


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("see HTTPS://example.org/a", "see HTTPS:|//example.org/a"),
        ("www.example.org or Www.example.org", "www|.example.org or Www|.example.org"),
        ("ada@example.org", "ada@|example.org"),
        ("dropout@500:explicit, 3 @ 4", "dropout@500:explicit, 3 @ 4"),  # may be copied into a command
        ("http: is no address, nor is www", "http: is no address, nor is www"),
    ],
)
def test_an_address_is_cut_so_that_it_does_not_become_a_link(text: str, cut: str) -> None:
    assert plain(text).replace("\\", "") == cut.replace("|", CUT)
