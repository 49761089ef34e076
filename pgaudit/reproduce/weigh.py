"""The artifact, found and weighed from outside: what the run wrote, and the code that it read. No log is asked."""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from pgaudit.evidence.sizes import Sizes, is_code

SAMPLE = 2**20
"""Bytes that are looked at to tell whether a file is compressed."""
INCOMPRESSIBLE = 0.97
"""A file that fast zlib makes no smaller than this is compressed; raw float32 weights shrink to about 0.92."""
LEAST = 1024
"""Bytes; smaller files hold no weights."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What counts against the size limit, in bytes."""

    code: int
    code_files: tuple[str, ...]
    """The main script and the shipped code files that the run read; where reads are not recorded, those that it names."""
    model: int | None
    """The largest compressed file that the run wrote; ``None`` if it wrote none."""
    model_file: str
    others: int = 0
    """Bytes of the other compressed files that it wrote: variants of the model, or parts of it."""
    altered: tuple[str, ...] = ()
    """Shipped files that the run changed or removed in its copy."""
    files_read: tuple[str, ...] | None = None
    """Shipped files beside the code that it read; ``None`` where reads are not recorded."""
    model_sha256: str = ""

    @property
    def total(self) -> int | None:
        """Code and model together."""
        return None if self.model is None else self.code + self.model


Fingerprint = tuple[int, int, int]


def inventory(folder: Path) -> dict[str, Fingerprint]:
    """Regular files below a folder: size and times. Links and devices are never followed or opened.

    A program can set the time of its writing, but not that of the change of its entry.
    """
    return {path: (found.st_size, found.st_mtime_ns, found.st_ctime_ns) for path, found in _files(folder)}


def bytes_written(*folders: Path) -> int:
    """Bytes on disk below the folders."""
    return sum(found.st_blocks * 512 for folder in folders for _, found in _files(folder))


def weigh(
    folder: Path,
    before: Mapping[str, Fingerprint],
    sizes: Sizes,
    main: str,
    temporary: Path,
    read: Set[str] | None = None,
) -> Weighed:
    """Weigh what a run left in its private folders, given the files that were there before it and those that it ``read``."""
    after = inventory(folder)
    fresh = [(folder / path, path) for path in after if after[path] != before.get(path)]
    fresh += [(temporary / path, f"/tmp/{path}") for path in inventory(temporary)]  # noqa: S108 -- its name inside the sandbox
    models = [(size, name, file) for file, name in fresh if (size := _compressed_size(file))]
    model, name, found = max(models, default=(None, "", None))
    altered = tuple(sorted(path for path in before if after.get(path) != before[path]))
    helpers = dict(sizes.helpers)
    if read is not None:
        helpers = {path: before[path][0] for path in read if path != main and is_code(path)}
    code = (sizes.script or 0) + sum(helpers.values())
    others = sum(size for size, *_ in models) - (model or 0)
    more = None if read is None else tuple(sorted(read - {main, *helpers}))
    digest = _sha256(found) if found else ""
    return Weighed(code, (main, *sorted(helpers)), model, name, others, altered, more, digest)


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)  # noqa: PTH118 -- names that no Path can hold
            try:
                found = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield os.path.relpath(path, folder), found


def _sha256(file: Path) -> str:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with open(handle, "rb") as stream:  # noqa: PTH123 -- a descriptor
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _compressed_size(file: Path) -> int | None:
    """The size of a file that looks like compressed weights, by its content alone: a name proves nothing."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(handle, "rb") as stream:  # noqa: PTH123 -- a descriptor
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size < LEAST:
            return None
        stream.seek(max(0, found.st_size // 2 - SAMPLE // 2))  # headers and tables stand at the ends
        sample = stream.read(SAMPLE)
    return found.st_size if len(zlib.compress(sample, 1)) >= INCOMPRESSIBLE * len(sample) else None
