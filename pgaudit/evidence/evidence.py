"""Everything that is known of one submission, read on first use: what rules look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pgaudit.engine.machine import Setting
from pgaudit.engine.transfer.runtime import is_off
from pgaudit.evidence.claims import Claims, read_claims
from pgaudit.evidence.configuration import Configuration, candidates, code_defaults
from pgaudit.evidence.corpus import Corpus
from pgaudit.evidence.functions import Known, fingerprints
from pgaudit.evidence.logs import Log, Metric, is_log, log_lines, read_log
from pgaudit.evidence.naming import Statement, Title
from pgaudit.evidence.numbers import number
from pgaudit.evidence.readme import Command, Copied, Readme, read_copies, read_readme, read_run_script
from pgaudit.evidence.scripts import main_script, python_files
from pgaudit.evidence.sizes import Sizes, measure
from pgaudit.evidence.support import SCORE_TOLERANCE, averaged, prints
from pgaudit.finding import Gap, Location
from pgaudit.policy import Edition
from pgaudit.source.script import Layer, Script
from pgaudit.submission import File, Submission, UnreadableFile

if TYPE_CHECKING:
    from pgaudit.evidence.run import Run
    from pgaudit.program import ir

T = TypeVar("T")

MOST_CONFIGURATIONS = 4
"""Commands of a script that are tried until its print of the score is reached."""
FOREIGN = (".c", ".cc", ".cpp", ".cxx", ".cu")
ANOTHER_SCORE = 0.02
"""Bits per byte: seeds of one configuration differ by less."""


class Evidence:
    """The facts of one submission. A file that cannot be read is a gap, never a missing fact without notice."""

    def __init__(self, submission: Submission, edition: Edition, corpus: Corpus | None = None) -> None:
        self.submission = submission
        self.edition = edition
        self.corpus = corpus
        """Submissions with a ruling that this one may descend from."""
        self._unreadable: dict[str, Gap] = {}
        self._modules: dict[tuple[int, str], ir.Module] = {}

    @cached_property
    def claims(self) -> Claims | None:
        """submission.json, or the one file that is called nearly so (``submission_ternary.json``); ``None`` without."""
        file = self.submission.files.get("submission.json")
        if file is None:
            near = [file for path, file in self.submission.files.items() if fnmatch(path.lower(), "submission*.json")]
            file = near[0] if len(near) == 1 else None
        return self._read(read_claims, file) if file else None

    @cached_property
    def claimed_scores(self) -> tuple[float, ...]:
        """Every bpb that submission.json claims, of the submission and of its seeds."""
        claims = self.claims
        stated = [claims.get("val_bpb"), *claims.per_seed("val_bpb").values()] if claims else []
        scores = (number(claim.value) for claim in stated if claim)
        return tuple(score for score in scores if score is not None)

    @cached_property
    def logs(self) -> tuple[Log, ...]:
        """Every training and evaluation log, by path."""
        found = (self._read(_log_if_any, file) for file in self.submission.files.values())
        return tuple(log for log in found if log)

    @cached_property
    def readme(self) -> Readme | None:
        """README.md; ``None`` if there is none."""
        file = self._named("readme.md") or self._named("readme")
        return self._read(read_readme, file) if file else None

    @cached_property
    def titles(self) -> tuple[Title, ...]:
        """What the submission calls itself, in its claims and its README; the name of a folder is no statement."""
        stated = [self.claims.get(name) for name in ("name", "techniques")] if self.claims else []
        titles = [Title(str(claim.value), str(claim.location)) for claim in stated if claim]
        titles += [Title(self.readme.title, f"the title of {self.readme.path}")] if self.readme else []
        return tuple(titles)

    @cached_property
    def statement(self) -> Statement:
        """What the submission says of its own run: its titles, and the settings that the README's text gives."""
        said = self.readme.settings if self.readme else {}
        on = {
            name: Setting(value.value, str(value.location)) for name, value in said.items() if not is_off(value.value)
        }
        return Statement(self.titles, on)

    @cached_property
    def copies(self) -> tuple[Copied, ...]:
        """Files that the README or a run script gives another name."""
        run = (copied for file in self._run_scripts for copied in self._read(read_copies, file) or ())
        return (*(self.readme.copies if self.readme else ()), *run)

    @cached_property
    def commands(self) -> tuple[Command, ...]:
        """The commands of the README, then those of the run scripts."""
        run = (command for file in self._run_scripts for command in self._read(read_run_script, file) or ())
        return (*(self.readme.commands if self.readme else ()), *run)

    @cached_property
    def main_path(self) -> str | None:
        """The path of the script that trains and scores; ``None`` where nothing decides."""
        return main_script(self.submission, self.commands)

    @cached_property
    def main(self) -> Script | None:
        """The script that trains and scores, unpacked."""
        return self.script(self.main_path) if self.main_path else None

    @cached_property
    def scripts(self) -> tuple[Script, ...]:
        """Every Python file, unpacked, by path."""
        found = (self.script(path) for path in python_files(self.submission))
        return tuple(script for script in found if script)

    @cached_property
    def scored_log(self) -> Log | None:
        """The log of the run that counts: one that holds the claimed score, one whose last score stands anywhere in
        submission.json, or else the first with a final score.
        """
        finished = [log for log in self.logs if log.final]
        claimed = [log for log in finished if _score_lines(log, self.claimed_scores)]
        claimed = claimed or [log for log in self.logs if log.path in self._averaged]
        stated = [log for log in finished if not claimed and _ends_with_stated_score(log, self.claims)]
        return next(iter(claimed or stated or finished or self.logs), None)

    @cached_property
    def claimed_logs(self) -> tuple[Log, ...]:
        """The logs of the claimed runs: those that show a claimed score, or whose mean it is; all that finished where none does."""
        claimed = [log for log in self.logs if log.path in self._averaged or _score_lines(log, self.claimed_scores)]
        return tuple(claimed or [log for log in self.logs if log.final])

    def claimed_metrics(self, log: Log) -> tuple[Metric, ...]:
        """The lines of a log that print a claimed score, or else the score that it ends with."""
        found = tuple(metric for metric in log.metrics if prints(metric, self.claimed_scores))
        return found or ((log.final,) if log.final else ())

    @cached_property
    def texts(self) -> tuple[Layer, ...]:
        """Every text of every Python file: as shipped, unpacked, and the modules that it brings."""
        texts = (layer for script in self.scripts for layer in (*script.layers, *script.modules.values()))
        return tuple({layer.text: layer for layer in texts}.values())

    @cached_property
    def functions(self) -> dict[str, Known]:
        """The functions of every script that parses, by fingerprint; the main script's win where two are equal."""
        bodies = [script.body for script in self.scripts if script.body.parsed.module is not None]
        found: dict[str, Known] = {}
        for body in sorted(bodies, key=lambda body: body.path == self.main_path):
            found |= fingerprints(body, self.lowered(body, body.path))
        return found

    @cached_property
    def scored_log_lines(self) -> tuple[str, ...]:
        """The text of that log; read again only when a finding has to be held against it."""
        return self.lines_of(self.scored_log) if self.scored_log else ()

    def lines_of(self, log: Log) -> tuple[str, ...]:
        """The lines of a log, read again."""
        return self._read(log_lines, self.submission.files[log.path]) or ()

    @cached_property
    def run(self) -> Run | None:
        """The script that printed the score, walked under the effective configuration; ``None`` without one that parses.

        It is the main script, unless only another one (an evaluation kept apart) can have printed the log line.
        """
        if self.main is None:
            return None
        others = (
            script
            for script in self.scripts
            if script is not self.main and any(_may_print(script, line) for line in self._score_lines)
        )
        likeliest: Run | None = None
        for script in (self.main, *others):
            for configuration in islice(
                candidates(script, self.commands, self.scored_log, self.titles), MOST_CONFIGURATIONS
            ):
                found = self._run(script, configuration, self.scored_log, self.statement)
                if found is not None and found.matched:
                    return found
                if likeliest is None or (likeliest.score is None and found is not None):
                    likeliest = found
        return likeliest

    @cached_property
    def run_as_shipped(self) -> Run | None:
        """The main script walked under its own defaults: what it does when no text switches anything off."""
        return self._run(self.main, code_defaults(self.main)) if self.main else None

    @cached_property
    def _score_lines(self) -> tuple[str, ...]:
        """The lines of the log that print the score; the last score where no line prints a claimed one after training."""
        log = self.scored_log
        if log is None:
            return ()
        part = self._averaged.get(log.path)
        return _score_lines(log, self.claimed_scores) or ((part.location.text,) if part else _last_score_lines(log))

    @cached_property
    def _averaged(self) -> dict[str, Metric]:
        """Log path to the line with one of the scores whose mean over the logs is the claimed score."""
        claim = self.claims.get("val_bpb") if self.claims else None
        claimed = number(claim.value) if claim else None
        return averaged(self.logs, claimed) if claimed is not None else {}

    def _run(
        self, script: Script, configuration: Configuration, shown: Log | None = None, statement: Statement | None = None
    ) -> Run | None:
        from pgaudit.evidence.run import Witness, run_script

        folder = script.body.path.rpartition("/")[0]

        def beside(path: str) -> Script | None:
            name = f"{folder}/{path}" if folder else path
            return self.script(name) if name in self.submission.files else None

        def foreign() -> Iterator[Layer]:
            for path, file in self.submission.files.items():
                if path.endswith(FOREIGN) and (text := self._read(_text, file)) is not None:
                    yield Layer(path, text, language="c")
            yield from script.embedded

        witness = None
        if shown is not None:
            dumped = frozenset(setting.location.line or 0 for setting in shown.settings.values())
            witness = Witness(shown.path, lambda: self.scored_log_lines, shown.embedded, dumped)
        elsewhere = bool(self._score_lines) and not any(
            _may_print(shipped, line) for shipped in self.scripts for line in self._score_lines
        )
        return run_script(
            script,
            configuration,
            beside,
            foreign,
            self._score_lines,
            self.lowered,
            witness,
            statement,
            foreign_log=elsewhere,
        )

    def lowered(self, layer: Layer, name: str) -> ir.Module:
        """The lowered text of a layer that parses, made once for every walk."""
        from pgaudit.program.lower import lower  # libcst is a fifth of a second that ``--help`` must not pay

        assert layer.parsed.module is not None
        key = id(layer), name
        if key not in self._modules:
            self._modules[key] = lower(layer.parsed.module, name)
        return self._modules[key]

    @cached_property
    def sizes(self) -> Sizes:
        """What counts against the size limit."""
        return measure(self.submission, self.main_path, self.main.body.text if self.main else "", self.logs)

    @property
    def _run_scripts(self) -> Iterator[File]:
        return (file for path, file in self.submission.files.items() if path.endswith((".sh", ".bash")))

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read: everything that the rules look at is read first, so that none is missed."""
        _ = self.claims, self.logs, self.commands, self.main
        return (*self._unreadable.values(), *(self.main.gaps if self.main else ()))

    def script(self, path: str) -> Script | None:
        """One Python file of the submission, unpacked once."""
        if path not in self._scripts:
            self._scripts[path] = self._read(self._unpack, self.submission.files[path])
        return self._scripts[path]

    @cached_property
    def _scripts(self) -> dict[str, Script | None]:
        return {}

    def _unpack(self, file: File) -> Script:
        from pgaudit.source.unpack import unpack

        return unpack(file.path, file.data, self._sibling)

    def _sibling(self, path: str) -> bytes | None:
        file = self.submission.files.get(path)
        return self._read(_content, file) if file else None

    def _named(self, name: str) -> File | None:
        return next((file for path, file in self.submission.files.items() if path.lower() == name), None)

    def _read(self, reader: Callable[[File], T], file: File) -> T | None:
        try:
            return reader(file)
        except UnreadableFile as problem:
            self._unreadable[file.path] = Gap(
                "input", f"{problem.path} was not read: {problem.reason}", Location(file.path)
            )
            return None


def _log_if_any(file: File) -> Log | None:
    return read_log(file) if is_log(file) else None


def _score_lines(log: Log, claimed: tuple[float, ...]) -> tuple[str, ...]:
    """The lines of a log that print a claimed score (of the submission or of one seed).

    Running values of an evaluation count where nothing else prints it and the log ends with quite another score.
    """
    printed = [metric for metric in log.metrics if prints(metric, claimed)]
    found = [metric for metric in printed if not metric.partial]
    if not found and log.final and not prints(log.final, claimed, ANOTHER_SCORE):
        found = printed
    if log.final and log.final.step is None and all(metric.step is not None for metric in found):
        return ()  # a score taken in training is not the one that the run ended with
    return tuple(metric.location.text for metric in found)


def _last_score_lines(log: Log) -> tuple[str, ...]:
    """The last score, and the lines that print the same number (a wrapper may repeat it in words of its own)."""
    last = log.final
    if last is None or last.val_bpb is None or last.step is not None:
        return ()  # a score taken in training is not what the script ends with
    same = [
        metric.location.text
        for metric in log.metrics
        if metric.val_bpb and abs(metric.val_bpb.value - last.val_bpb.value) <= SCORE_TOLERANCE and metric.step is None
    ]
    return tuple(dict.fromkeys((last.location.text, *same)))


def _may_print(script: Script, line: str) -> bool:
    """Is the longest word of a log line in the script?"""
    return max(re.findall(r"[A-Za-z]\w*", line), key=len, default="") in script.body.text


def _ends_with_stated_score(log: Log, claims: Claims | None) -> bool:
    last = log.final.val_bpb.value if log.final and log.final.val_bpb else None
    if last is None or claims is None:
        return False
    return any(abs(value - last) <= SCORE_TOLERANCE for value in claims.fractions())


def _text(file: File) -> str:
    return file.data.decode("utf-8", "replace")


def _content(file: File) -> bytes:
    return file.data
