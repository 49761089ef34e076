"""Every verdict as one line of text, so that a change of any of them is a line of a review.

python -m tests.accuracy.golden RESULTS [--check] [--golden FILE]
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.accuracy.lines import Key, Result, read_results

SHIPPED = Path(__file__).with_name("golden.tsv")
HEADER = "pr\tfolder\thead\tverdict\tmechanisms\n"
HEAD_DIGITS = 12
NOTHING = "-"
"""An empty cell; editors strip blanks at the end of a line."""


class Verdict(NamedTuple):
    """What one line of the file says of a folder."""

    head: str
    verdict: str
    mechanisms: str
    """Sorted, with commas between them."""


Verdicts = Mapping[Key, Verdict]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file, or compare with it. Exit status 1: a difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.golden", description=__doc__)
    parser.add_argument("results", type=Path, help="JSON lines of `pgaudit sweep`")
    parser.add_argument("--check", action="store_true", help="print what differs from the file instead of writing it")
    parser.add_argument("--golden", type=Path, default=SHIPPED, metavar="FILE")
    options = parser.parse_args(arguments)
    now = verdicts(read_results(options.results).values())
    if not options.check:
        options.golden.write_bytes(render(now).encode())
        print(f"{options.golden}: {len(now)} verdicts")
        return 0
    lines = list(changes(parse(options.golden.read_text("utf-8")), now))
    print("\n".join(lines) or f"the same {len(now)} verdicts")
    return 1 if lines else 0


def verdicts(results: Iterable[Result]) -> Verdicts:
    """The lines of a sweep as the file holds them."""
    return {
        result.key: Verdict(
            result.head[:HEAD_DIGITS] or NOTHING, result.verdict, ",".join(sorted(result.mechanisms)) or NOTHING
        )
        for result in results
    }


def render(now: Verdicts) -> str:
    """The file: sorted by pull request and folder, the same bytes for the same verdicts."""
    return HEADER + "".join(f"{key.pr}\t{key.folder}\t" + "\t".join(now[key]) + "\n" for key in sorted(now))


def parse(text: str) -> Verdicts:
    """What ``render`` wrote."""
    rows = (line.split("\t") for line in text.splitlines()[1:])
    return {Key(int(pr), folder): Verdict(*rest) for pr, folder, *rest in rows}


def changes(before: Verdicts, now: Verdicts) -> Iterator[str]:
    """What differs, by kind of change, the most frequent kind last so that it does not hide the rest."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for key in sorted(before.keys() | now.keys()):
        was, is_now = before.get(key), now.get(key)
        if was != is_now:
            kinds[_kind(was, is_now)].append(f"  {key}: {_words(was, is_now)}")
    for kind, entries in sorted(kinds.items(), key=lambda item: (len(item[1]), item[0])):
        yield f"{kind}: {len(entries)}"
        yield from entries


def _kind(was: Verdict | None, is_now: Verdict | None) -> str:
    if was is None or is_now is None:
        return "added" if was is None else "removed"
    if was.verdict != is_now.verdict:
        return f"{was.verdict} -> {is_now.verdict}"
    return f"{was.verdict}, other mechanisms" if was.mechanisms != is_now.mechanisms else "same verdict, other head"


def _words(was: Verdict | None, is_now: Verdict | None) -> str:
    if was is None or is_now is None:
        one = was or is_now
        assert one is not None
        return f"{one.verdict} {one.mechanisms}"
    moved = "" if was.head == is_now.head else f" (head {was.head} -> {is_now.head})"
    return f"{was.mechanisms} -> {is_now.mechanisms}{moved}"


if __name__ == "__main__":
    sys.exit(main())
