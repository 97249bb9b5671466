"""What a visitor typed is shown as typed."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from dropviz.web.plain import plain


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
    assert "".join(child.content for child in paragraph.children or ()) == text
