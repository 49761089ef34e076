"""Files: where token ids come from, what the script writes, what it prints.

The challenge names its shards ``fineweb_train_*.bin`` and ``fineweb_val_*.bin``; the name of the file that is opened
is the only thing that tells training from validation data, so origins are decided here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pgaudit.engine.calls import Arguments
from pgaudit.engine.labels import Artifact, Bytes, Depends, Iteration, Token
from pgaudit.engine.linear import ZERO
from pgaudit.engine.machine import TRAINING_DATA, UNKNOWN_ORIGIN, Machine, parts
from pgaudit.engine.transfer.strings import text_of, text_value
from pgaudit.engine.values import Const, Data, Either, Sequence, Value

VALIDATION = re.compile(r"(?<![a-z])val(?![a-tv-z])", re.IGNORECASE)
TRAINING = re.compile(r"(?<![a-z])train", re.IGNORECASE)
NO_TOKENS = (".model", ".json", ".jsonl", ".pt", ".ptz", ".vocab", ".py", ".txt", ".log", ".md", ".so", ".c", ".cpp")
SHARDS = (".bin", ".npy", ".npz", ".dat", ".u16")
"""A file opened by hand holds token ids only under one of these; anything else is a counter, a log, an artifact."""
UNKNOWN_PATH = "\0"
BUFFER = "<buffer>"
"""The path of a file in memory: what is written there is in the value itself."""
NETWORK = "network"
"""Origin of tokens of a text that the script downloads."""


def origin(text: str) -> str | None:
    """``val`` or ``train`` by the file name, then by the whole path; ``None`` for files that hold no token ids."""
    name = text.rpartition("/")[2]
    if "byte" in name.lower() or name.endswith(NO_TOKENS):
        return None
    for part in (name, text):
        if VALIDATION.search(part):
            return "val"
        if TRAINING.search(part):
            return "train"
    return UNKNOWN_ORIGIN


def stream(m: Machine, name: str) -> int:
    """The label of a whole token stream."""
    return m.labels.bit(Token(name, frozenset(), None if name == TRAINING_DATA else ZERO))


def texts(value: Value | None) -> list[str]:
    """The possible texts of a path or a list of paths."""
    if value is None:
        return []
    if isinstance(value, Const):
        return [value.value] if isinstance(value.value, str) else []
    if isinstance(value, Data):
        return [value.text] if value.text is not None else []
    if isinstance(value, Either | Sequence):
        return [text for part in parts(value) for text in texts(part)]
    return []


def tokens(m: Machine, args: Arguments, line: int) -> Value:
    """``fromfile``, ``memmap`` and other readers of raw ids."""
    source = args.get(0, "file")
    if any(text in m.created for text in texts(source)):
        return Data(artifact(m, source))
    origins = {origin(text) for text in texts(source)} or {
        UNKNOWN_ORIGIN if isinstance(source, Data) and not source.labels else None
    }
    labels = m.content(source) & ~m.labels.mask(Iteration)
    for name in sorted(o for o in origins if o is not None):
        labels |= stream(m, name)
    for text in texts(source):
        if "byte" in text.rpartition("/")[2].lower():
            labels |= m.labels.bit(Bytes(text))
    return Data(labels)


def loaded(m: Machine, args: Arguments, line: int) -> Value:
    """``torch.load``, ``numpy.load``: what was written before, or token ids if the name says so."""
    source = args.get(0, "f")
    names = {origin(text) for text in texts(source)} & {"val", "train"}
    labels = m.content(source) & ~m.labels.mask(Iteration)
    for name in sorted(name for name in names if name):
        labels |= stream(m, name)
    if not names:
        labels |= artifact(m, source)
    return Data(labels)


def artifact(m: Machine, source: Value | None) -> int:
    """What a file that is no data shard holds: what the script has written to a path that may be the same.

    Where it has written to none, another program made the file, from anything that was written.
    """
    path = _path(source)
    if path == BUFFER:
        return m.labels.bit(Artifact(""))
    labels = m.labels.bit(Artifact(path if path != UNKNOWN_PATH else ""))
    written = [content for saved_to, content in m.files.items() if _may_be(path, saved_to)] or m.files.values()
    for content in written:
        labels |= content
    return labels


def _path(source: Value | None) -> str:
    """The text of a path or of an open file, ``\\0`` for what is not known of it."""
    return next(iter(texts(source)), UNKNOWN_PATH)


def _may_be(path: str, other: str) -> bool:
    """Can two paths be the same, given that each ``\\0`` stands for anything?"""
    if "\0" not in path + other:
        return path == other
    head, other_head = (text.partition("\0")[0] for text in (path, other))
    tail, other_tail = (text.rpartition("\0")[2] for text in (path, other))
    return (head.startswith(other_head) or other_head.startswith(head)) and (
        tail.endswith(other_tail) or other_tail.endswith(tail)
    )


def _store(m: Machine, target: Value | None, labels: int) -> None:
    path = _path(target)
    if path == BUFFER:
        return
    m.files[path] = m.files.get(path, 0) | labels & ~m.labels.mask(Iteration, Depends)


def saved(m: Machine, args: Arguments, line: int) -> Value:
    """``torch.save(obj, file)`` and the like."""
    content = m.content(args.get(0, "obj"))
    target = args.get(1, "f")
    _store(m, target, content)
    if isinstance(target, Data):
        m.write(target, content & ~m.labels.mask(Depends), line)
    return Const(None)


def written(m: Machine, file: Value, args: Arguments, line: int) -> Value:
    """``file.write(text)``: a report if it is text, an artifact otherwise."""
    value = args.get(0, "text")
    if value is not None and texts(value):
        m.report(text_of(value), [value], line)
    else:
        _store(m, file, m.union(args.all()))
    return Const(None)


def logged(m: Machine, args: Arguments, line: int) -> Value:
    """``logger.info(text)``."""
    m.report(" ".join(text_of(value) for value in args.positional), args.positional, line)
    return Const(None)


def opened(m: Machine, args: Arguments, line: int) -> Value:
    """``open(path)``: a handle that reads as the file's content."""
    path = args.get(0, "file")
    mode = args.get(1, "mode")
    if isinstance(mode, Const) and isinstance(mode.value, str) and ("w" in mode.value or "a" in mode.value):
        m.created.update(texts(path))
        return Data(text=_path(path))
    names = {origin(text) for text in texts(path) if text.endswith(SHARDS)} & {"val", "train"}
    labels = 0
    for name in sorted(name for name in names if name):
        labels |= stream(m, name)
    if not names and m.loops:
        # What other processes wrote meanwhile (a shared work counter) differs from iteration to iteration.
        labels = m.labels.bit(Iteration(m.loops[-1][0], m.loops[-1][2]))
    return Data(labels if names else labels | artifact(m, path), text=next(iter(texts(path)), None))


def globbed(m: Machine, args: Arguments, line: int) -> Value:
    """``glob(pattern)``: paths that look like the pattern."""
    text = next(iter(texts(args.get(0, "pathname"))), "\0")
    return Sequence("list", [], Data(scalar=True, text=text))


def joined(m: Machine, args: Arguments, line: int) -> Value:
    """``os.path.join`` and ``Path(…)``."""
    return text_value("/".join(text_of(value) for value in args.positional), m.union(args.positional))


def _listed(m: Machine, args: Arguments, line: int) -> Value:
    text = next(iter(texts(args.get(0, "path"))), "\0")
    return Sequence("list", [], Data(scalar=True, text=text))


def _exists(m: Machine, args: Arguments, line: int) -> Value:
    return Data(scalar=True)


def _downloaded(m: Machine, args: Arguments, line: int) -> Value:
    """Text from the network."""
    return Data(stream(m, NETWORK))


def _renamed(m: Machine, args: Arguments, line: int) -> Value:
    """``os.replace(source, target)``."""
    source, target = args.get(0, "src"), args.get(1, "dst")
    m.created.update(texts(target))
    _store(m, target, artifact(m, source) & ~m.labels.mask(Artifact))
    return Const(None)


def _buffer(m: Machine, args: Arguments, line: int) -> Value:
    return Data(m.union(args.all()) & ~m.labels.mask(Iteration), text=BUFFER)


def path_method(m: Machine, path: Const | Data, name: str, args: Arguments, line: int) -> Value | None:
    """A method of ``pathlib.Path``; ``None`` if the name is none of them."""
    own = Arguments([path, *args.positional], args.keywords)
    text = text_of(path)
    if name in ("glob", "rglob", "iterdir"):
        pattern = next(iter(texts(args.get(0, "pattern"))), "*")
        return Sequence("list", [], Data(scalar=True, text=f"{text}/{pattern}"))
    if name in ("resolve", "expanduser", "absolute", "with_suffix", "as_posix", "with_name", "decode", "encode"):
        return path
    if name == "joinpath":
        return joined(m, own, line)
    if name == "open":
        return opened(m, own, line)
    if name in ("read_bytes", "read_text"):
        return Data(m.content(opened(m, own, line)), text="\0" if name == "read_text" else None)
    if name in ("write_bytes", "write_text"):
        _store(m, path, m.union(args.all()))
        return Const(None)
    if name in ("exists", "is_file", "is_dir", "stat"):
        return Data(scalar=True)
    if name == "mkdir":
        return Const(None)
    return None


def decoded(m: Machine, args: Arguments, line: int) -> Value:
    """``int.from_bytes``, ``struct.unpack``: a number read from a file keeps what chose it."""
    return Data(m.union(args.all()), scalar=True)


FUNCTIONS: dict[str, Callable[[Machine, Arguments, int], Value]] = {
    "builtins.int.from_bytes": decoded,
    "struct.unpack": lambda m, args, line: Sequence("tuple", [decoded(m, args, line)], decoded(m, args, line)),
    "numpy.fromfile": tokens,
    "numpy.memmap": tokens,
    "torch.from_file": tokens,
    "numpy.load": loaded,
    "torch.load": loaded,
    "torch.save": saved,
    "numpy.save": lambda m, args, line: saved(m, Arguments(args.positional[1:2] + args.positional[:1], {}), line),
    "pickle.dump": saved,
    "pickle.load": loaded,
    "builtins.open": opened,
    "gzip.open": opened,
    "lzma.open": opened,
    "glob.glob": globbed,
    "glob.iglob": globbed,
    "os.path.join": joined,
    "pathlib.Path": joined,
    "os.listdir": _listed,
    "os.path.exists": _exists,
    "os.path.isfile": _exists,
    "os.path.isdir": _exists,
    "os.path.getsize": _exists,
    "datasets.load_dataset": _downloaded,
    "requests.get": _downloaded,
    "urllib.request.urlopen": _downloaded,
    "os.replace": _renamed,
    "os.rename": _renamed,
    "io.BytesIO": _buffer,
    "logging.info": logged,
}
