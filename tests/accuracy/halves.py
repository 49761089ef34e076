"""Splits the labelled scripts in two halves: rules are made on one, and what they find on the other is what counts.

python -m tests.accuracy.halves LABELS --repo CLONE [--output DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.accuracy.folders import Auditor, folders, opened
from tests.accuracy.lines import Key, read_labels, write_keys

NEAR = 0.7
"""A script that shares this part of its distinct lines with one script of the other half tells nothing new."""

Lines = frozenset[str]


@dataclass(frozen=True, slots=True)
class Halves:
    """Labelled folders by half."""

    a: tuple[Key, ...]
    b: tuple[Key, ...]
    far: tuple[Key, ...]
    """Those of half B that are no near copy of a script in half A."""
    scripts: tuple[int, int, int]
    """Distinct scripts in each of the three."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the lists; ``--output`` writes them as the files that ``table --only`` reads."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.halves", description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--repo", type=Path, required=True)
    parser.add_argument("--output", type=Path, metavar="DIR", help="write half_a.tsv, half_b.tsv, half_b_far.tsv")
    options = parser.parse_args(arguments)
    labelled = {label.key for label in read_labels(options.labels)}
    texts: dict[str, list[Key]] = defaultdict(list)
    auditor = Auditor.load()
    with opened(options.repo) as clone:
        for folder in folders(clone, sorted({key.pr for key in labelled}), auditor):
            if folder.key in labelled and folder.main is not None:
                texts[folder.main.body.text].append(folder.key)
    split = halves(texts)
    for name, keys, scripts in zip(("a", "b", "b_far"), (split.a, split.b, split.far), split.scripts, strict=True):
        print(f"half {name}: {scripts} scripts, {len(keys)} lines")
        for key in keys:
            print(f"  {key}")
        if options.output:
            write_keys(options.output / f"half_{name}.tsv", keys)
    print(f"without main script: {len(labelled) - len(split.a) - len(split.b)}")
    return 0


def halves(texts: Mapping[str, Iterable[Key]]) -> Halves:
    """Folders by the text of their main script, split by a hash of that text: a copy is always in the same half."""
    a = sorted(text for text in texts if _is_first(text))
    b = sorted(texts.keys() - set(a))
    known = [lines_of(text) for text in a]
    far = [text for text in b if not is_near(lines_of(text), known)]

    def keys(chosen: Iterable[str]) -> tuple[Key, ...]:
        return tuple(sorted(key for text in chosen for key in texts[text]))

    return Halves(keys(a), keys(b), keys(far), (len(a), len(b), len(far)))


def lines_of(text: str) -> Lines:
    """The distinct lines of a script that hold anything, without their indentation."""
    return frozenset(filter(None, map(str.strip, text.splitlines())))


def is_near(lines: Lines, others: Iterable[Lines]) -> bool:
    """Whether at least ``NEAR`` of the lines stand in one of the others; one with fewer lines than that need not be read."""
    least = NEAR * len(lines)
    return any(len(other) >= least and len(lines & other) >= least for other in others)


def _is_first(text: str) -> bool:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] % 2 == 0


if __name__ == "__main__":
    sys.exit(main())
