"""What an audit costs beside the parse that it cannot do without, and how much memory it takes.

python -m tests.accuracy.cost --repo CLONE --prs 1-20 | --memory 2012
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.accuracy.lines import KEPT_BACK

if TYPE_CHECKING:  # a measured child begins as a copy of this process: it must stay small
    from tests.accuracy.folders import Auditor, Folder

ROUNDS = 3
"""Both are measured this often, in turns; the fastest of each counts."""
STACK_BYTES = 256 * 1024 * 1024
"""libcst recurses in native code; untouched stack costs nothing."""
RSS_PER_KIB = 1024 if sys.platform == "darwin" else 1
"""``ru_maxrss`` counts KiB, on macOS bytes."""


class Cost(NamedTuple):
    """Processor seconds of one script."""

    parse: float
    """``libcst.parse_module`` of the file, and of every text decoded out of it."""
    audit: float
    """The whole audit of its folder, from files in memory to the verdict."""

    @property
    def ratio(self) -> float:
        """The audit in parses."""
        return self.audit / self.parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line per script and the summary, or the peak memory of one audit."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.cost", description=__doc__)
    parser.add_argument("--repo", type=Path, required=True)
    work = parser.add_mutually_exclusive_group(required=True)
    work.add_argument("--prs", help="numbers and ranges, or @FILE")
    work.add_argument("--memory", type=int, metavar="PR", help="peak resident memory of auditing this pull request")
    options = parser.parse_args(arguments)
    if options.memory is not None:
        print(f"#{options.memory}: peak RSS {peak_kib(options.repo, options.memory) / 1024:.0f} MiB")
        return 0
    threading.stack_size(STACK_BYTES)
    with ThreadPoolExecutor(1) as pool:
        print(pool.submit(benchmark, options.repo, options.prs).result())
    return 0


def peak_kib(repo: Path, number: int) -> int:
    """The largest resident set, in KiB, of a process that audits one pull request."""
    if number % KEPT_BACK == 0:
        raise SystemExit(f"#{number} is kept back to test on")
    command = [sys.executable, "-m", "pgaudit", "scan", "--repo", str(repo), "--pr", str(number), "--fail-on", "never"]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // RSS_PER_KIB


def benchmark(repo: Path, prs: str) -> str:
    """Print the cost of every distinct main script of some pull requests; returns the summary."""
    from pgaudit.cli.sweep import select
    from tests.accuracy.folders import Auditor, folders, opened

    auditor, costs, seen = Auditor.load(), list[Cost](), set[str]()
    with opened(repo) as clone:
        for folder in folders(clone, select(prs, clone.pull_numbers()), auditor):
            if folder.main is None or folder.main.body.parsed.module is None or folder.main.body.text in seen:
                continue
            seen.add(folder.main.body.text)
            if (one := cost(folder, auditor)) is None:
                print(f"{folder.key}: not measured: libcst.parse_module refuses it")
                continue
            costs.append(one)
            lines = len(folder.main.body.lines)
            print(f"{folder.key}: {lines} lines, parse {one.parse:.3f} s, audit {one.audit:.3f} s, {one.ratio:.2f}")
    return summary(costs)


def cost(folder: Folder, auditor: Auditor) -> Cost | None:
    """Measure one script and its folder, all files in memory; ``None`` where libcst takes only what pgaudit makes of it."""
    import libcst

    assert folder.main is not None
    texts = [layer.text for layer in folder.main.layers]

    def parse() -> None:
        for text in texts:
            libcst.parse_module(text)

    def audit() -> None:
        auditor(folder.submission)

    audit()  # fetches the files
    try:
        pairs = [(_seconds(parse), _seconds(audit)) for _ in range(ROUNDS)]
    except (libcst.ParserSyntaxError, libcst.CSTValidationError):
        return None
    parses, audits = zip(*pairs, strict=True)
    return Cost(min(parses), min(audits))


def summary(costs: Sequence[Cost]) -> str:
    """Median, 95th percentile and maximum of the ratio."""
    if not costs:
        return "no main script"
    ratios = sorted(cost.ratio for cost in costs)
    median, high = (ratios[min(int(len(ratios) * part), len(ratios) - 1)] for part in (0.5, 0.95))
    audits = sum(cost.audit for cost in costs)
    return (
        f"{len(costs)} scripts, audit / parse: median {median:.2f}, p95 {high:.2f}, max {ratios[-1]:.2f}; "
        f"all audits {audits:.1f} s, all parses {sum(cost.parse for cost in costs):.1f} s"
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.thread_time()  # of the processor: what else runs on the machine does not count
    work()
    return time.thread_time() - started


if __name__ == "__main__":
    sys.exit(main())
