"""Text that a submitter controls, at its worst, and a report that is full of it."""

from __future__ import annotations

from pgaudit.finding import Confidence, Finding, Gap, Location, Severity, Step
from pgaudit.report import FolderReport, Outcome, Report
from pgaudit.submission import Origin
from pgaudit.verdict import Level, Verdict

TEXTS = (
    "a\n::error file=x,line=1::made up",
    "::set-output name=verdict::clean",
    "%0A::warning::made up",
    "a:b,c=d::e",
    "quotes \" ' & <script>alert(1)</script>",
    "]]></failure><testcase name='fine'/>",
    "\x00\x01\x1b[2J\x85\u2028\ufffe",
    "\u202egnp.exe\u2066",
    "[click](https://evil.example) @openai fixes #1",
    "``` ` | pipe | ~~~\n# heading",
    "lone surrogate \ud800",
    "../../etc/passwd //host/share C:\\x ?query#fragment",
)


def report_of(text: str, *, layer: str = "", findings: int = 1, known: bool | None = None) -> Report:
    """A report in which every text that a submitter controls is ``text``."""
    place = Location(text, 3, layer and f"{layer} {text}", text, 1 if layer else None)
    finding = Finding(
        "voice/shout", "shouting", "illegal", Severity.ERROR, Confidence.HIGH, text, place, (Step(place, text),) * 3,
        {"fact": text}, dormant=text, known=known,
    )  # fmt: skip
    gaps = (Gap("voice/mumble", text, place), Gap("voice/mute", text), Gap(text, text))
    folder = FolderReport(
        7, text, Verdict.ILLEGAL, ("shouting",), Level.CLAIMED, (finding,) * findings, gaps, head="0" * 40,
        outcomes={"voice/shout": Outcome.FIRED, "voice/mute": Outcome.CRASHED, "voice/hum": Outcome.CLEAN},
    )  # fmt: skip
    return Report("0.0.0", "0123456789ab", "2026-03-18", Origin(text), (folder,), {}, outside=(text,), deleted=(text,))
