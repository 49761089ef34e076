"""The words of a review: Markdown blocks out of the values of a report. Everything submitted leaves through ``escape``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from pgaudit import HOMEPAGE
from pgaudit.collect.layout import ROOT
from pgaudit.evidence.measures import Measure
from pgaudit.finding import Finding, Gap, Location
from pgaudit.fix.repair import Replacement
from pgaudit.output import escape
from pgaudit.output.wording import citation, consequence, made_by
from pgaudit.policy import Edition
from pgaudit.report import FolderReport, Outcome, Report, SetAside
from pgaudit.review.places import repository_path
from pgaudit.rulebook import Rulebook
from pgaudit.verdict import Verdict

DISPUTES = f"{HOMEPAGE}/blob/main/CONTRIBUTING.md#a-finding-is-wrong"
"""Where a submitter reads how a finding is disputed."""
MOST_BYTES = 65_000
"""GitHub takes 65,536 characters; counting bytes keeps below it however it counts."""
LONGEST = 400
"""Characters of one untrusted text that are shown."""
MOST_STEPS = 12
MOST_ROWS = 30

MEANING = {
    Verdict.ILLEGAL: "The score breaks the rules of evaluation.",
    Verdict.DEFECT: "Limits, files, logs or metadata block acceptance. This is no accusation.",
    Verdict.INCOMPLETE: "Something could not be read or decided; it is listed below.",
    Verdict.REVIEW: "Nothing is decided: a person has to look at what is listed below.",
    Verdict.CLEAN: "Every applicable check ran and found nothing. That is no proof that the score is real.",
}
CONDITIONS = {
    "C1": "strict causal dependence",
    "C2": "full normalised distribution",
    "C3": "score before update",
    "C4": "single pass",
}
LIMITS = {
    "artifact_bytes": ("Code and compressed model", "artifact/oversize"),
    "train_seconds": ("Training", "time/training"),
    "eval_seconds": ("Evaluation", "time/evaluation"),
    "seeds": ("Seeds and significance", "claims/significance"),
}
"""What each limit is called, and the rule that decides on it."""
ALL_TRACKS = "artifact_bytes"
"""The limit that both tracks have; the others belong to the record track."""


class Writer:
    """Writes about one report; ``blob`` is the address of the head's files, ending in a slash."""

    def __init__(self, report: Report, book: Rulebook, edition: Edition, blob: str) -> None:
        self._report = report
        self._rules = {entry.rule.id: entry.rule for entry in book}
        self._edition = edition
        self._blob = blob

    def title(self, folder: FolderReport) -> str:
        """The heading of a record folder."""
        return f"### {escape.code(cut(folder.folder))}: {folder.verdict}"

    def overview(self) -> str:
        """The verdict on each record folder."""
        shown = self._report.submissions[:MOST_ROWS]
        rows = [
            (
                escape.cell(cut(each.folder)),
                f"**{each.verdict}**",
                each.track or "none",
                each.level.value,
                _because(each),
            )
            for each in shown
        ]
        if hidden := len(self._report.submissions) - len(shown):
            rows.append((f"… {hidden} more", "", "", "", ""))
        return table(("record folder", "verdict", "track", "level", "because"), rows)

    def conditions(self, folder: FolderReport) -> str:
        """What was found of the four conditions of a valid score."""
        rows = [(name, title, self._condition(folder, name)) for name, title in CONDITIONS.items()]
        return table(("", "condition of a valid score", "found"), rows)

    def _condition(self, folder: FolderReport, condition: str) -> str:
        rules = [rule.id for rule in self._rules.values() if condition in rule.conditions]
        found = [finding for finding in folder.findings if finding.rule in rules]
        for findings, word in (
            ([f for f in found if f.decides], "**broken**"),
            ([f for f in found if asks(f)], "for a person to decide"),
        ):
            if findings:
                names = dict.fromkeys(finding.rule for finding in findings)
                return f"{word}: {', '.join(escape.cell(name) for name in names)}"
        if folder.score is None:
            return "not checked: no score could be followed through the code"
        unsure = [rule for rule in rules if folder.outcomes.get(rule) not in (Outcome.CLEAN, Outcome.FIRED)]
        if unsure:
            return f"not decided by {len(unsure)} of {len(rules)} checks"
        return f"nothing found by {len(rules)} checks"

    def limits(self, folder: FolderReport) -> str:
        """What the submission shows for each limit of the policy, and what the rule on it says."""
        measured = {measure.limit: measure for measure in folder.measures}
        rows = []
        for name, (title, rule) in LIMITS.items():
            measure = measured.get(name)
            read = (
                f"{amount(name, measure.value)} at {self.place(folder, measure.location, cell=True)}" if measure else ""
            )
            rows.append(
                (title, self._allowed(name), read or "no number found", self._result(folder, name, rule, measure))
            )
        return table(("limit", "allowed", "read", "result"), rows)

    def _allowed(self, name: str) -> str:
        limit = self._edition[name]
        text = amount(name, limit.applied)
        if limit.written != limit.applied:
            text += f" (as written: {amount(name, limit.written)})"
        if name == "train_seconds" and (grace := self._edition["train_grace_seconds"].applied):
            text += f", {grace:g} s over were accepted"
        if name == "seeds":
            step, level = self._edition["improvement_nats"], self._edition["p_value"]
            text += f", a step of {step.applied:g} nats at p < {level.applied:g}"
            if (step.written, level.written) != (step.applied, level.applied):
                text += f" (as written: {step.written:g}, p < {level.written:g})"
        return text

    def _result(self, folder: FolderReport, name: str, rule: str, measure: Measure | None) -> str:
        found = [finding for finding in folder.findings if finding.rule == rule]
        if any(finding.decides for finding in found):
            return f"**not met**: {escape.cell(rule)}"
        if any(asks(finding) for finding in found):
            return f"for a person to decide: {escape.cell(rule)}"
        if found:
            return "see the notes"
        if folder.track != "record" and name != ALL_TRACKS:
            return "holds in the record track only"
        if folder.outcomes.get(rule) is not Outcome.CLEAN or (measure and self._outside(measure)):
            return "not decided"
        return "nothing found" if measure else "not checked"

    def _outside(self, measure: Measure) -> bool:
        """Whether the number alone misses the limit: rules are silent on runs that nothing is claimed of."""
        limit = self._edition[measure.limit].applied
        if measure.limit == "seeds":
            return measure.value < limit
        grace = self._edition["train_grace_seconds"].applied if measure.limit == "train_seconds" else 0.0
        return not measure.value <= limit + grace

    def remark(self, folder: FolderReport, finding: Finding) -> str:
        """One line for a finding that has a comment of its own in the diff."""
        return f"- {self._headline(finding)} · {self.place(folder, finding.location)}"

    def finding(self, folder: FolderReport, finding: Finding, *, with_place: bool) -> Iterator[str]:
        """A finding with its place and excerpt (a comment in the diff shows both itself), grounds, ruling and trace."""
        rule = self._rules.get(finding.rule)
        leads = escape.markdown(cut(consequence(finding, rule)))
        grounds = f"{leads}; confidence {finding.confidence}."
        yield self._headline(finding)
        yield (
            f"{'In' if finding.location.path == ROOT else 'At'} {self.place(folder, finding.location)}: {grounds}"
            if with_place
            else grounds[0].upper() + grounds[1:]
        )
        if with_place and finding.location.text:
            yield escape.block([cut(finding.location.text)])
        yield from (f"> Ruling: {escape.markdown(citation(ruling))}" for ruling in (rule.rulings if rule else ())[:1])
        yield from self._trace(folder, finding)

    def _headline(self, finding: Finding) -> str:
        known = " (known)" if finding.known else ""
        return (
            f"**{finding.severity}**{known} {escape.code(cut(finding.rule))}: {escape.markdown(cut(finding.message))}"
        )

    def _trace(self, folder: FolderReport, finding: Finding) -> Iterator[str]:
        steps = finding.steps[:MOST_STEPS]
        if not steps:
            return
        lines = []
        for number, step in enumerate(steps, 1):
            source = f"<br>{escape.code(cut(step.location.text))}" if step.location.text else ""
            lines.append(f"{number}. {self.place(folder, step.location)} {escape.markdown(cut(step.message))}{source}")
        if hidden := len(finding.steps) - len(steps):
            lines.append(f"{len(steps) + 1}. … {hidden} more")
        yield folded(f"Trace, {count(len(finding.steps), 'step')}", "\n".join(lines))

    def replacement(self, replacement: Replacement) -> str | None:
        """A suggestion that can be applied as it stands; ``None`` where its lines cannot be shown unchanged."""
        if any(escape.plain(line) != line or "```" in line for line in replacement.lines):
            return None
        because = [f"- {escape.markdown(cut(reason))}" for reason in replacement.because[:MOST_ROWS]]
        text = "`pgaudit fix`: the shipped files state this; it changes nothing about the score."
        return "\n".join([text, "", *because, "", escape.block(list(replacement.lines), "suggestion")])

    def gap(self, folder: FolderReport, gap: Gap) -> str:
        """One line for something that was not checked."""
        place = f" ({self.place(folder, gap.location)})" if gap.location else ""
        return f"- {escape.code(cut(gap.check))}: {escape.markdown(cut(gap.reason))}{place}"

    def waived(self, folder: FolderReport, item: SetAside) -> str:
        """One line for a finding that the referee set aside."""
        decision = f"set aside by {item.waiver.author} until {item.waiver.expires}: {item.waiver.reason}"
        return f"- {escape.code(cut(item.finding.rule))} at {self.place(folder, item.finding.location)}: {escape.markdown(cut(decision))}"

    def place(self, folder: FolderReport, location: Location, *, cell: bool = False) -> str:
        """A place as a link to the line in the head that was read; in a packed layer a line is not the file's."""
        if location.path == ROOT:
            return "the record folder"
        shown = (escape.cell if cell else escape.code)(cut(str(location)))
        path = repository_path(folder.folder, location.path)
        if not path.isprintable() or "\\" in path or len(path) > LONGEST:
            return shown  # reports escape such names, so no address can be made of them
        line = f"#L{location.line}" if location.line and not location.layer else ""
        return f"[{shown}]({self._blob}{quote(path)}{line})"

    def footer(self) -> str:
        """How to dispute, and what judged."""
        return (
            f"**Is something here wrong?** [How a finding is disputed]({DISPUTES}); one that does not hold is withdrawn in place.\n\n"
            f"<sub>Read without running it, by {escape.markdown(cut(made_by(self._report)))}. A finding states facts and the rule; "
            "what becomes of the pull request is for its maintainers.</sub>"
        )


def asks(finding: Finding) -> bool:
    """Whether a finding that does not decide asks for a person: all but the plain notes do."""
    return finding.severity != "note" or bool(finding.dormant)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; cells have been escaped."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def amount(limit: str, value: float) -> str:
    """A number with the unit that the limit's name ends with."""
    if limit.endswith("_bytes"):
        return f"{value:,.0f} B"
    return f"{value:,.1f} s".replace(".0 s", " s") if limit.endswith("_seconds") else count(value, "seed")


def cut(text: str) -> str:
    """An untrusted text at a length that people read."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def fitted(blocks: Iterable[str], room: int, rest: str) -> str:
    """The blocks, one after the other, that fit into ``room`` bytes; where some do not, ``rest`` says so at the end."""
    kept: list[str] = []
    room -= len(rest.encode()) + 2
    for block in blocks:
        room -= len(block.encode()) + 2
        if room < 0:
            kept.append(rest)
            break
        kept.append(block)
    return "\n\n".join(kept)


def listed(lines: Iterable[str]) -> str:
    """A list, cut where nobody reads on."""
    items = list(lines)
    more = [f"- … {len(items) - MOST_ROWS} more"] if len(items) > MOST_ROWS else []
    return "\n".join([*items[:MOST_ROWS], *more])


def folded(summary: str, text: str) -> str:
    """A block that is shown on a click."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def _because(folder: FolderReport) -> str:
    deciding = dict.fromkeys(finding.rule for finding in folder.findings if finding.decides)
    asking = dict.fromkeys(finding.rule for finding in folder.findings if asks(finding))
    if deciding:
        return _names(deciding)
    if folder.gaps:
        return f"not decided: {_names(dict.fromkeys(gap.check for gap in folder.gaps))}"
    return _names(asking)


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return ", ".join(escape.cell(cut(name)) for name in listed[:4]) + more


def count(number: float, noun: str) -> str:
    return f"{number:g} {noun}" + ("" if number == 1 else "s")
