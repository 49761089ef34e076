"""``python -m tests.accuracy.accepted --repo CLONE --folders @FILE``: fingerprints of the logs of accepted record folders."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pgaudit.collect.clone import GitClone
from pgaudit.evidence.lineage import fingerprint
from pgaudit.evidence.logs import is_log, read_log
from pgaudit.rulebook import rules_directory


def main(arguments: list[str] | None = None) -> int:
    """Write ``rules/log/accepted.json``."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy.accepted", description=__doc__)
    parser.add_argument("--repo", type=Path, required=True, help="a clone of the challenge")
    parser.add_argument("--rev", default="main", help="where the accepted folders are")
    parser.add_argument("--folders", type=Path, required=True, metavar="FILE", help="their paths, one per line")
    options = parser.parse_args(arguments)
    known: dict[str, str] = {}
    with GitClone(options.repo) as clone:
        for folder in options.folders.read_text("utf-8").split("\n"):
            if not folder.strip():
                continue
            for submission in clone.record(folder.strip(), options.rev).submissions:
                for file in submission.files.values():
                    if not file.problem and is_log(file) and (mark := fingerprint(read_log(file))):
                        known.setdefault(mark, submission.folder.rpartition("/")[2])
    target = rules_directory() / "log" / "accepted.json"
    target.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", "utf-8")
    print(f"{len(known)} logs of {len(set(known.values()))} folders in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
