"""Nothing that a submitter writes reaches a terminal or a comment with its effect."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pgaudit.output import escape

HOSTILE = st.text(st.sampled_from("\x1b[]\x07m0;`*_<>&@#:/|\\\n\r\t\u202e\u200b\ufeff\x9b\x00 ab1") | st.characters())


@given(HOSTILE)
def test_plain_text_is_one_line_of_visible_characters(text: str) -> None:
    shown = escape.plain(text)
    assert not {unicodedata.category(character) for character in shown} & escape.INVISIBLE
    assert "\n" not in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "text, shown",
    [
        ("train_gpt.py → x²", "train_gpt.py → x²"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\rest", "rest"),
        ("a\r\nb\tc", "a  b c"),
        ("exe\u202egnp.py", "exegnp.py"),
        ("zero\u200bwidth", "zerowidth"),
        ("\x9b31mC1", "31mC1"),
    ],
)
def test_plain_keeps_what_can_be_seen(text: str, shown: str) -> None:
    assert escape.plain(text) == shown


@given(HOSTILE)
def test_markdown_renders_as_the_plain_text(text: str) -> None:
    (paragraph, inline, _) = MarkdownIt("commonmark").enable("table").parse("x" + escape.markdown(text) + "x")
    assert {child.type for child in inline.children or []} == {"text"} or inline.children is None
    assert paragraph.type == "paragraph_open"
    assert inline.children is not None
    rendered = "".join(child.content for child in inline.children)
    assert rendered.replace(escape.ZERO_WIDTH_SPACE, "") == "x" + escape.plain(text) + "x"


@pytest.mark.parametrize(
    "text", ["@openai", "fixes #12", "https://evil.example", "www.evil.example", "WWW.evil.example"]
)
def test_markdown_parts_references_from_their_names(text: str) -> None:
    assert text not in escape.markdown(text)
    assert escape.ZERO_WIDTH_SPACE in escape.markdown(text)


@given(HOSTILE.filter(lambda text: escape.plain(text).strip()))
def test_a_code_span_cannot_be_left(text: str) -> None:
    (_, inline, _) = MarkdownIt("commonmark").parse("x " + escape.code(text) + " x")
    assert [child.type for child in inline.children or []] == ["text", "code_inline", "text"]


@given(st.lists(HOSTILE, min_size=1))
def test_a_fenced_block_cannot_be_left(lines: list[str]) -> None:
    (token,) = MarkdownIt("commonmark").parse(escape.block(lines))
    assert token.type == "fence"
    assert token.content == "".join(f"{escape.plain(line)}\n" for line in lines)
