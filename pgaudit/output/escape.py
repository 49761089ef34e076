"""The only way out for untrusted text: file names, source lines and everything else that a submitter wrote."""

from __future__ import annotations

import re
import unicodedata

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
"""Terminal escape sequences: CSI, OSC (titles, links) and the two-character ones."""

INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Unicode categories without a glyph: controls, bidirectional overrides and zero-width characters, surrogates."""

MARKUP = re.compile(r"[\\`*_{}\[\]()<>|~&$]")
"""Characters that mean something to Markdown, to HTML or to GitHub's formulas."""

REFERENCE = re.compile(r"@|#|:(?=//)|(?<=www)\.|(?<=\bGH)-(?=\d)|:(?=[\w+-]+:)", re.IGNORECASE)
"""What GitHub turns into mentions, issue references, links and emoji after rendering, so that escaping cannot stop it."""

ZERO_WIDTH_SPACE = "\u200b"


def plain(text: str) -> str:
    """One line of visible characters: escape sequences and invisible characters go, any white space is a blank."""
    blanks = "".join(" " if character.isspace() else character for character in ANSI.sub("", text))
    return "".join(c for c in blanks if unicodedata.category(c) not in INVISIBLE)


def markdown(text: str) -> str:
    """Text that Markdown shows as it stands: no markup, HTML, link, mention or issue reference takes effect."""
    parted = REFERENCE.sub(lambda match: match[0] + ZERO_WIDTH_SPACE, plain(text))
    return MARKUP.sub(lambda match: f"&#{ord(match[0])};", parted)


def message(text: str) -> str:
    """Plain text for what shows it as such and yet makes links and mentions of it, as code scanning does."""
    parted = REFERENCE.sub(lambda match: match[0] + ZERO_WIDTH_SPACE, plain(text))
    return parted.replace("](", f"]{ZERO_WIDTH_SPACE}(")


def code(text: str) -> str:
    """A Markdown code span of the text; its fence is longer than any run of backticks inside."""
    text = plain(text)
    if not text.strip():
        return ""
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def cell(text: str) -> str:
    """The text as code inside a table, where a bar would end the cell even in a code span."""
    return f"<code>{markdown(text)}</code>" if plain(text).strip() else ""


def block(lines: list[str], language: str = "text") -> str:
    """A fenced Markdown block of the lines; its fence is longer than any run of backticks inside."""
    body = "\n".join(plain(line) for line in lines)
    fence = "`" * max(3, _longest_run(body) + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
