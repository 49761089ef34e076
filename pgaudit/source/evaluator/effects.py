"""What a packed script does beside computing: run text, read and write files, set the environment, build modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pgaudit.source.evaluator import codecs
from pgaudit.source.evaluator.functions import TEMPORARY
from pgaudit.source.evaluator.operators import apply, combine
from pgaudit.source.evaluator.values import Known, Module, Name, OpenFile, Stream, Unknown, Value
from pgaudit.source.text import decode

if TYPE_CHECKING:
    from pgaudit.source.evaluator.machine import Machine

Effect = Callable[..., Value]
_NOTHING, _EMPTY, _READ, _WRITE = Known(None), Known(b""), Known("r"), Known("w+b")
_OPAQUE = {
    "marshal.loads": "is bytecode (marshal)",
    "pickle.loads": "is a pickle",
    "urllib.request.urlopen": "is fetched from the network",
    "requests.get": "is fetched from the network",
}


def _decoded(name: str, m: Machine, *arguments: Value, **options: Value) -> Value:
    """Call a decoder by name; the result remembers the step."""
    label = codecs.DECODERS[name][0]
    m.charge(sum(len(value.data) for value in arguments if isinstance(value, Known) and _is_text(value.data)) // 64)
    value = apply(partial(codecs.decode, name), arguments, options)
    if isinstance(value, Unknown):
        constant = bool(arguments) and isinstance(arguments[0], Known)
        return Unknown(f"{label}: {value.reason}", payload=True) if constant else value
    return replace(value, steps=(*value.steps, label))


def _stream(decoder: str, _m: Machine, *arguments: Value, **options: Value) -> Value:
    given = {name: value.data for name, value in options.items() if isinstance(value, Known)}
    if arguments and decoder == "lzma.decompress" and isinstance(arguments[0], Known):
        given["format"] = arguments[0].data
    if arguments and decoder == "zlib.decompress" and isinstance(arguments[0], Known):
        given["wbits"] = arguments[0].data
    return Known(Stream(decoder, given))


def _feed(m: Machine, stream: Known, data: Value, *_rest: Value, **_options: Value) -> Value:
    return _decoded(stream.data.decoder, m, data, **{name: Known(value) for name, value in stream.data.options.items()})


def _exec(m: Machine, source: Value, *namespaces: Value, **_options: Value) -> Value:
    target = next((value.data for value in namespaces if isinstance(value, Known)), None)
    return m.run_text(source, target.name if isinstance(target, Module) else "")


def _eval(m: Machine, source: Value, *namespaces: Value) -> Value:
    """The value of an expression in a string; a compiled program is run."""
    if isinstance(source, Unknown) or not isinstance(source.data, str | bytes):
        return _exec(m, source, *namespaces)
    text = source.data if isinstance(source.data, str) else decode(source.data).text
    return m.evaluate_text(text, source)


def _compile(_m: Machine, source: Value, *_arguments: Value, **_options: Value) -> Value:
    return source


def _run_path(m: Machine, path: Value, *_arguments: Value, **_options: Value) -> Value:
    return m.run_text(path if isinstance(path, Unknown) else m.files.read(path.data))


def _run_module(m: Machine, name: Value, *_arguments: Value, **_options: Value) -> Value:
    return m.run_text(name if isinstance(name, Unknown) else m.files.read(str(name.data).replace(".", "/") + ".py"))


def _command(m: Machine, *arguments: Value, **_options: Value) -> Value:
    """A process: the script that it starts is run if it was written here, or if the wrapper starts nothing else."""
    words: list[Any] = []
    for argument in arguments:
        data = argument.data if isinstance(argument, Known) else None
        words += data.split() if isinstance(data, str) else data if isinstance(data, list | tuple) else []
    for flag, word in pairwise(words):
        if flag == "-c" and isinstance(word, str):
            return m.run_text(Known(word))
    for word in words:
        if str(word).endswith(".py") and m.files.exists(word):
            return m.run_text(m.files.read(word))
    return Unknown("is the result of a process")


def _open(m: Machine, path: Value, mode: Value = _READ, *_rest: Value, **options: Value) -> Value:
    mode = options.get("mode", mode)
    if isinstance(path, Unknown) or isinstance(mode, Unknown):
        return path if isinstance(path, Unknown) else mode
    if isinstance(path.data, OpenFile):
        return path
    binary = "b" in str(mode.data)
    if str(mode.data)[:1] in ("w", "x", "a"):
        where = m.files.locate(path.data)
        if str(mode.data)[:1] != "a":
            m.files.write(where, Known(b"" if binary else ""))
        return Known(OpenFile(_NOTHING, where, binary))
    return Known(OpenFile(m.files.read(path.data), None, binary))


def _open_compressed(decoder: str, m: Machine, path: Value = _NOTHING, mode: Value = _READ, **options: Value) -> Value:
    path = options.get("fileobj", options.get("filename", path))
    opened = _open(m, path, Known("rb"))
    if isinstance(opened, Unknown):
        return opened
    passed = {name: value for name, value in options.items() if name in ("format", "filters")}
    content = _decoded(decoder, m, opened.data.content, **passed)
    return Known(OpenFile(content, None, isinstance(mode, Known) and "t" not in str(mode.data)))


def _memory_file(_m: Machine, data: Value = _EMPTY) -> Value:
    return Known(OpenFile(data, None, not (isinstance(data, Known) and isinstance(data.data, str))))


def _temporary_file(m: Machine, mode: Value = _WRITE, *_rest: Value, **options: Value) -> Value:
    suffix = options.get("suffix", Known(""))
    name = f"{TEMPORARY}/file{len(m.files.written)}{suffix.data if isinstance(suffix, Known) else ''}"
    return _open(m, Known(name), Known("wb" if isinstance(mode, Known) and "b" in str(mode.data) else "w"))


def _mkstemp(m: Machine, *_arguments: Value, **options: Value) -> Value:
    opened = _temporary_file(m, **options)
    return opened if isinstance(opened, Unknown) else Known((opened.data, opened.data.path))


def _read(m: Machine, file: Known, *_size: Value) -> Value:
    opened: OpenFile = file.data
    content = m.files.read(opened.path) if opened.path else opened.content
    return combine(_as_bytes if opened.binary else _as_text, content)


def _write(m: Machine, file: Known, content: Value, *_rest: Value) -> Value:
    if file.data.path:
        m.files.write(file.data.path, content, append=True)
    return _NOTHING


def _read_path(binary: bool, m: Machine, path: Known, *_arguments: Value, **_options: Value) -> Value:
    return combine(_as_bytes if binary else _as_text, m.files.read(path.data))


def _write_path(m: Machine, path: Known, content: Value, *_rest: Value, **_options: Value) -> Value:
    m.files.write(path.data, content)
    return _NOTHING


def _exists(m: Machine, path: Value, *_rest: Value) -> Value:
    return combine(m.files.exists, path)


def _set_default(m: Machine, name: Value, value: Value = _NOTHING) -> Value:
    m.set_environment(name, value, keep=True)
    return _get_variable(m, name, value)


def _set_variable(m: Machine, name: Value, value: Value) -> Value:
    m.set_environment(name, value)
    return _NOTHING


def _update_environment(m: Machine, table: Value = _NOTHING, **options: Value) -> Value:
    if isinstance(table, Known) and isinstance(table.data, dict):
        for name, value in table.data.items():
            m.set_environment(Known(name), value if isinstance(value, Unknown) else Known(value))
    for name, given in options.items():
        m.set_environment(Known(name), given)
    return _NOTHING


def _get_variable(m: Machine, name: Value, default: Value = _NOTHING) -> Value:
    if isinstance(name, Known) and name.data in m.environment:
        return Known(m.environment[name.data])
    return default


def _import(_m: Machine, name: Value, *_rest: Value, **_options: Value) -> Value:
    return combine(lambda text: Name(str(text)), name)


def _getattr(m: Machine, value: Value, name: Value, *_default: Value) -> Value:
    return m.attribute(value, str(name.data)) if isinstance(name, Known) else name


def _module(_m: Machine, name: Value = _NOTHING, path: Value = _NOTHING, *_rest: Value, **options: Value) -> Value:
    return combine(lambda text, file: Module(str(text), file and str(file)), name, options.get("location", path))


def _same(_m: Machine, value: Value, *_rest: Value, **_options: Value) -> Value:
    return value


def _load_module(m: Machine, loader: Known, *_rest: Value) -> Value:
    module: Module = loader.data
    m.run_text(m.files.read(module.path) if module.path else Unknown("is a module without a file"), module.name)
    return loader


def _map(m: Machine, function: Value, *sequences: Value) -> Value:
    columns = [m.items(sequence) for sequence in sequences]
    rows = [[item if isinstance(item, Unknown) else Known(item) for item in row] for row in zip(*columns, strict=False)]
    return combine(lambda *items: list(items), *(m.call(function, row, {}) for row in rows))


def _scope(_m: Machine) -> Value:
    return Known(Name("builtins.globals()"))


def _opaque(reason: str, _m: Machine, *_arguments: Value, **_options: Value) -> Value:
    return Unknown(reason, payload=True)


def _is_text(data: Any) -> bool:
    return isinstance(data, str | bytes)


def _as_bytes(data: Any) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)


def _as_text(data: Any) -> str:
    return data if isinstance(data, str) else decode(data).text


EFFECTS: Mapping[str, Effect] = {
    **{name: partial(_decoded, name) for name in codecs.DECODERS},
    **{name: partial(_stream, decoder) for name, decoder in codecs.STREAMS.items()},
    **{name: partial(_open_compressed, decoder) for name, decoder in codecs.FILE_READERS.items()},
    **{name: partial(_opaque, reason) for name, reason in _OPAQUE.items()},
    **dict.fromkeys(("Stream.decompress", "Stream.process"), _feed),
    "builtins.exec": _exec,
    "builtins.eval": _eval,
    "builtins.compile": _compile,
    "runpy.run_path": _run_path,
    "runpy.run_module": _run_module,
    **{f"subprocess.{name}": _command for name in ("run", "call", "check_call", "check_output", "Popen")},
    **{
        f"os.{name}": _command
        for name in ("system", "execv", "execve", "execvp", "execvpe", "execl", "execlp", "execle")
    },
    **{f"os.{name}": _command for name in ("spawnv", "spawnl", "spawnvp", "spawnlp", "posix_spawn")},
    **dict.fromkeys(("builtins.open", "io.open", "codecs.open", "os.fdopen", "PurePosixPath.open"), _open),
    **dict.fromkeys(("io.BytesIO", "io.StringIO"), _memory_file),
    **dict.fromkeys(("tempfile.NamedTemporaryFile", "tempfile.TemporaryFile"), _temporary_file),
    "tempfile.mkstemp": _mkstemp,
    "tempfile.TemporaryDirectory": lambda _m, **_options: Known(f"{TEMPORARY}/directory"),
    **dict.fromkeys(("OpenFile.read", "OpenFile.getvalue", "OpenFile.getbuffer"), _read),
    **dict.fromkeys(("OpenFile.write", "os.write"), _write),
    "PurePosixPath.read_bytes": partial(_read_path, True),
    "PurePosixPath.read_text": partial(_read_path, False),
    **dict.fromkeys(("PurePosixPath.write_bytes", "PurePosixPath.write_text"), _write_path),
    **{f"PurePosixPath.{name}": _exists for name in ("exists", "is_file")},
    **{f"os.path.{name}": _exists for name in ("exists", "isfile")},
    "os.environ.setdefault": _set_default,
    "os.environ.update": _update_environment,
    "os.putenv": _set_variable,
    **dict.fromkeys(("os.environ.get", "os.getenv"), _get_variable),
    **dict.fromkeys(("builtins.__import__", "importlib.import_module", "importlib.__import__"), _import),
    "builtins.getattr": _getattr,
    "builtins.map": _map,
    **dict.fromkeys(("builtins.globals", "builtins.locals", "builtins.vars"), _scope),
    "types.ModuleType": lambda m, name, *_rest: _module(m, name),
    "importlib.util.spec_from_file_location": _module,
    "importlib.machinery.SourceFileLoader": _module,
    **dict.fromkeys(("importlib.util.module_from_spec", "importlib.util.spec_from_loader"), _same),
    **dict.fromkeys(("Module.exec_module", "Module.load_module"), _load_module),
}
"""By qualified name, or by class and method; each takes the machine and the values of the call."""
