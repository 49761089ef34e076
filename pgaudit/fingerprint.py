"""Identity of a finding across edits: it stays when lines move, when code is indented anew and when a script is packed
otherwise. It is made of the rule, the file, the text of the line and, where these are equal, which one it is; not of the
message, which states numbers and names that change while the finding stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgaudit.finding import Finding

DIGITS = 16


def fingerprint(finding: Finding) -> str:
    """Identity of the finding within its record folder. What concerns a whole file is known by its message."""
    return digest(*_subject(finding), str(finding.occurrence))


def fingerprint_in(folder: str, finding: Finding) -> str:
    """Identity of the finding within the repository: copies of a folder have findings of their own."""
    return digest(folder, finding.fingerprint)


def numbered(findings: Iterable[Finding]) -> list[Finding]:
    """The findings of one record folder in their order; those that nothing but the line tells apart are counted from above."""
    seen = Counter[tuple[str, ...]]()
    result = list(findings)
    places = [(finding.location.layer, finding.location.line or 0, finding.message) for finding in result]
    for index in sorted(range(len(result)), key=places.__getitem__):
        subject = _subject(result[index])
        result[index] = replace(result[index], occurrence=seen[subject])
        seen[subject] += 1
    return result


def _subject(finding: Finding) -> tuple[str, str, str]:
    text = finding.location.text or finding.message
    return finding.rule, finding.location.path, " ".join(text.split())


def digest(*parts: str) -> str:
    """``DIGITS`` hexadecimal digits that stand for the parts."""
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]
