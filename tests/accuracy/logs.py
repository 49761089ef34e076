"""How well logs are read: facts of 100 logs read by hand against the reader's, and how many of all logs have each fact.

python -m tests.accuracy.logs --repo CLONE [--prs @OPEN] | --draw --prs @OPEN
"""

from __future__ import annotations

import argparse
import codecs
import hashlib
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pgaudit.cli.sweep import select
from pgaudit.collect.clone import GitClone
from pgaudit.errors import PgauditError
from pgaudit.evidence.claims import read_claims
from pgaudit.evidence.logs import Log, is_log, read_log
from pgaudit.evidence.sizes import run_size
from pgaudit.submission import File
from tests.accuracy.lines import KEPT_BACK

TABLE = Path(__file__).with_name("logs.tsv")
SAMPLE = 100
SEED = 2026
"""Of the draw that ``logs.tsv`` is."""
SECONDS_TOLERANCE = 0.001
"""Times are compared as printed, in milliseconds."""


class Name(NamedTuple):
    """One file of one pull request."""

    pr: int
    folder: str
    path: str

    def __str__(self) -> str:
        return f"#{self.pr} {self.folder}/{self.path}"


class Facts(NamedTuple):
    """What the table holds of one log; ``None`` where the log does not say it."""

    final: float | None
    """The val_bpb that the run ended with."""
    seconds: float | None
    """Training time."""
    bytes: int | None
    """Code and compressed model."""

    @staticmethod
    def of(log: Log) -> Facts:
        """What the reader finds."""
        final, spent, size = log.final, log.train_time, run_size(log)
        return Facts(
            final.val_bpb.value if final and final.val_bpb else None,
            spent.seconds if spent else None,
            size.total.bytes if size else None,
        )

    def agrees(self, other: Facts) -> tuple[bool, bool, bool]:
        """Whether each fact is the same."""
        one, two = self.seconds, other.seconds
        close = one == two if one is None or two is None else abs(one - two) <= SECONDS_TOLERANCE
        return self.final == other.final, close, self.bytes == other.bytes


@dataclass(slots=True)
class Survey:
    """Every different log of some pull requests."""

    logs: int = 0
    bytes: int = 0
    seconds: float = 0.0
    """Spent in the reader."""
    found: Counter[str] = field(default_factory=Counter)
    """Logs in which a fact was found, by its name."""
    stated: Counter[str] = field(default_factory=Counter)
    """Logs in which the crude search of ``STATED`` finds the fact."""
    both: Counter[str] = field(default_factory=Counter)
    """Those of them in which the reader finds it."""

    def add(self, file: File) -> None:
        """Read one log and count what it has."""
        data = file.data
        started = time.perf_counter()
        log = read_log(file)
        self.seconds += time.perf_counter() - started
        self.logs += 1
        self.bytes += len(data)
        found = {name for name, there in _found(log).items() if there}
        stated = {name for name, words in STATED.items() if words.search(_text(data))}
        self.found.update(found)
        self.stated.update(stated)
        self.both.update(found & stated)

    def __str__(self) -> str:
        if not self.logs:
            return "no log"
        rate = self.bytes / 1e6 / (self.seconds or 1)
        read = f"{self.logs} logs, {self.bytes / 1e6:.1f} MB, read in {self.seconds:.1f} s ({rate:.1f} MB/s)"
        return "\n".join((read, *map(self._share, NAMES)))

    def _share(self, name: str) -> str:
        share = f"{name}: {self.found[name]} of {self.logs} ({self.found[name] / self.logs:.1%})"
        if not self.stated[name]:
            return share
        rate = self.both[name] / self.stated[name]
        return f"{share}; of {self.stated[name]} that a plain search says state it: {self.both[name]} ({rate:.1%})"


NAMES = (
    "final metric",
    "training time",
    "total bytes",
    "seed",
    "world size",
    "GPU",
    "validation tokens",
    "train shards",
)


STATED = {
    "final metric": re.compile(r"(?:bpb|bits.per.byte)\W{0,4}[0-9]\.[0-9]{2,}", re.IGNORECASE),
    "training time": re.compile(
        r"(?:train(?:ing)?[ _]?(?:time|took)|wallclock_cap)\W{0,4}(?!0(?:\.0+)?m)[0-9.]+ ?(?:ms|s\b|m\b)", re.IGNORECASE
    ),
    "total bytes": re.compile(
        r"(?:total[ _](?:\w+[ _])?(?:submission|artifact)|bytes_total)[^\n]{0,60}?[0-9][0-9,]{6,}", re.IGNORECASE
    ),
}
"""What a log that states a fact is bound to say somewhere, made without the reader's patterns; 0 ms is a time of no training."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print agreement and disagreements, and the shares if pull requests are named; or the draw."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.logs", description=__doc__)
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--prs", help="numbers and ranges, or @FILE: count facts over all of their logs")
    parser.add_argument("--draw", action="store_true", help="print which logs of --prs the table is about")
    options = parser.parse_args(arguments)
    with GitClone(options.repo) as clone:
        numbers = select(options.prs, clone.pull_numbers()) if options.prs else []
        if options.draw:
            print("\n".join("\t".join(map(str, name)) for name in draw(name for name, _ in distinct(clone, numbers))))
            return 0
        table = read_table(TABLE)
        print(compare(table, {name: Facts.of(read_log(file)) for name, file in named(clone, table)}))
        if options.prs:
            survey = Survey()
            for _, file in distinct(clone, numbers):
                survey.add(file)
            print(survey)
            print(time_of_claims(clone, numbers))
    return 0


def time_of_claims(clone: GitClone, numbers: Iterable[int]) -> str:
    """How many submission.json there are, and how long it takes to read them, git's part left out."""
    count, seconds = 0, 0.0
    for number in numbers:
        for name, file in _files(clone, number):
            if name.path != "submission.json" or file.problem:
                continue
            _ = file.data
            started = time.perf_counter()
            read_claims(file)
            seconds += time.perf_counter() - started
            count += 1
    return f"{count} submission.json read in {seconds:.1f} s"


def compare(table: Mapping[Name, Facts], found: Mapping[Name, Facts]) -> str:
    """How many agree by fact, and every disagreement with both values; a log that is not there disagrees in all."""
    lines, agreed = [], [0, 0, 0]
    for name, by_hand in table.items():
        read = found.get(name)
        if read is None:
            lines.append(f"{name}: not in the clone")
            continue
        for index, same in enumerate(by_hand.agrees(read)):
            agreed[index] += same
            if not same:
                lines.append(f"{name}: {NAMES[index]}: {_shown(by_hand[index])} by hand, {_shown(read[index])} read")
    counts = (f"{name}: {count} of {len(table)} agree" for name, count in zip(NAMES, agreed, strict=False))
    return "\n".join((*counts, *lines))


def draw(names: Iterable[Name]) -> list[Name]:
    """The sample, sorted."""
    ordered = sorted(names)
    return sorted(random.Random(SEED).sample(ordered, min(SAMPLE, len(ordered))))


def read_table(path: Path) -> dict[Name, Facts]:
    """The facts read by hand."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    rows = (line.split("\t") for line in lines[1:])
    return {
        Name(int(pr), folder, path): Facts(_float(final), _float(seconds), int(size) if size else None)
        for pr, folder, path, final, seconds, size, _ in rows
    }


def named(clone: GitClone, names: Iterable[Name]) -> Iterator[tuple[Name, File]]:
    """Those of the files that the clone has."""
    for number, group in groupby(sorted(names), key=lambda name: name.pr):
        files = dict(_files(clone, number))
        yield from ((name, files[name]) for name in group if name in files)


def distinct(clone: GitClone, numbers: Iterable[int]) -> Iterator[tuple[Name, File]]:
    """The logs of pull requests; of files with the same content the first."""
    seen = set[bytes]()
    for number in numbers:
        for name, file in _files(clone, number):
            try:
                content = hashlib.sha256(file.data).digest() if is_log(file) else None
            except PgauditError:
                continue
            if content is not None and content not in seen:
                seen.add(content)
                yield name, file


def _files(clone: GitClone, number: int) -> Iterator[tuple[Name, File]]:
    if number % KEPT_BACK == 0:
        return
    try:
        submissions = clone.pull_request(number).submissions
    except PgauditError:
        return
    for submission in submissions:
        for path, file in submission.files.items():
            yield Name(number, submission.folder, path), file


def _found(log: Log) -> dict[str, bool]:
    """Which facts a log has."""
    facts = Facts.of(log)
    others = (log.seeds, log.world_size, log.gpus, log.val_tokens, log.train_shards)
    return dict(zip(NAMES, (*(fact is not None for fact in facts), *map(bool, others)), strict=True))


def _text(data: bytes) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8", errors="replace")


def _float(text: str) -> float | None:
    return float(text) if text else None


def _shown(fact: float | None) -> str:
    return "nothing" if fact is None else f"{fact:.10g}"


if __name__ == "__main__":
    sys.exit(main())
