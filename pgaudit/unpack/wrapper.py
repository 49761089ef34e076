"""A constant evaluator for wrappers: it follows a script's own constants to what is handed to ``exec`` and its relatives.

It knows Python's literals, names, slices, string methods and the decoders of ``codecs``; everything else is
``UNKNOWN``. It is not an interpreter: no foreign function is called, loops run over short constants only.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pgaudit.program import ir
from pgaudit.unpack.codecs import CONSTANT_MODULES, DECODERS, Undecodable, decode

MAX_STEPS = 20_000
MAX_LOOP = 4_096
MAX_CALLS = 12
ROOT = "/submission"
"""Where ``__file__`` seems to lie."""


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Dotted:
    """A function or module outside the script, by name."""

    name: str


@dataclass(frozen=True)
class Payload:
    """Text or bytes with the story of how they were decoded."""

    data: str | bytes
    steps: tuple[str, ...] = ()
    path: str | None = None
    """The submission's file that it was read from, if it is not the script itself."""


@dataclass(frozen=True)
class Handle:
    """An open file."""

    path: str
    binary: bool


@dataclass(frozen=True)
class Compiled:
    """What ``compile``, ``spec_from_file_location`` and the like hand on: code by text, or a file to run."""

    source: Any


@dataclass(frozen=True)
class Executed:
    """One place where text is run as code."""

    line: int
    source: Any
    """A ``Payload``, or ``UNKNOWN``."""
    how: str


class TooMuch(Exception):
    """The wrapper asks for more evaluation than any real one needs."""


EXECUTORS = {
    "builtins.exec": 0, "builtins.eval": 0, "runpy.run_path": 0, "os.system": 0, "subprocess.run": 0, "subprocess.call": 0,
    "subprocess.check_call": 0, "subprocess.Popen": 0, "os.execv": 1, "os.execvp": 1, "os.execve": 1, "os.execvpe": 1, "os.execl": 2,
}  # fmt: skip
"""Functions that run code, and the position of the argument that holds it (text, a path, or a command line)."""
PASS_THROUGH = {
    "builtins.compile", "importlib.util.spec_from_file_location", "importlib.util.module_from_spec", "pathlib.Path",
    "pathlib.PurePath", "os.path.abspath", "os.path.realpath", "builtins.memoryview", "textwrap.dedent", "os.fspath",
    "importlib.machinery.SourceFileLoader", "types.CodeType", "io.BytesIO", "io.StringIO",
}  # fmt: skip
TEXT_METHODS = {
    "replace", "strip", "lstrip", "rstrip", "join", "split", "splitlines", "lower", "upper", "format", "removeprefix",
    "removesuffix", "translate", "partition", "rpartition", "hex", "startswith", "endswith", "find", "index", "count",
}  # fmt: skip


@dataclass
class Wrapper:
    """One evaluation of a script's top level."""

    script: str
    data: bytes
    sibling: Callable[[str], bytes | None]
    names: dict[str, Any] = field(default_factory=dict)
    executed: list[Executed] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    written: dict[str, Any] = field(default_factory=dict)
    steps: int = 0
    depth: int = 0

    def __post_init__(self) -> None:
        self.names.update({"__file__": f"{ROOT}/{self.script}", "__name__": "__main__"})

    # --- statements ------------------------------------------------------------------------------------------------

    def run(self, body: list[ir.Stmt]) -> Any:
        """Evaluate statements in order; the value of a ``return``, ``None`` where there is none."""
        for statement in body:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise TooMuch
            result = self._statement(statement)
            if result is not None:
                return result
        return None

    def _statement(self, node: ir.Stmt) -> Any:
        if isinstance(node, ir.Evaluate):
            self.value(node.value)
        elif isinstance(node, ir.Assign) and node.value is not None:
            value = self.value(node.value)
            for target in node.targets:
                self._bind(target, value)
        elif isinstance(node, ir.AugAssign) and isinstance(node.target, ir.Name):
            self.names[node.target.id] = self._binary(
                node.op, self.names.get(node.target.id, UNKNOWN), self.value(node.value)
            )
        elif isinstance(node, ir.Import):
            self._import(node)
        elif isinstance(node, ir.Function):
            self.names[node.name] = node
        elif isinstance(node, ir.Return):
            return self.value(node.value) if node.value is not None else UNKNOWN
        else:
            return self._compound(node)
        return None

    def _compound(self, node: ir.Stmt) -> Any:
        if isinstance(node, ir.If):
            test = self.value(node.test)
            if isinstance(test, bool | int | str | bytes):
                return self.run(node.body if test else node.orelse)
            return self.run(node.body) if node.body else self.run(node.orelse)
        if isinstance(node, ir.With):
            for context, target in node.items:
                value = self.value(context)
                if target is not None:
                    self._bind(target, value)
            return self.run(node.body)
        if isinstance(node, ir.Try):
            return self.run(node.body)
        if isinstance(node, ir.For):
            return self._for(node)
        return None

    def _for(self, node: ir.For) -> Any:
        items = _plain(self.value(node.iterable))
        if not isinstance(items, list | tuple | str | bytes | dict | range) or len(items) > MAX_LOOP:
            return None
        for item in items:
            self._bind(node.target, item)
            self.run(node.body)
        return None

    def _bind(self, target: ir.Expr, value: Any) -> None:
        if isinstance(target, ir.Name):
            self.names[target.id] = value
        elif isinstance(target, ir.Sequence):
            items = _plain(value)
            known = isinstance(items, list | tuple) and len(items) == len(target.items)
            for position, part in enumerate(target.items):
                self._bind(part, items[position] if known else UNKNOWN)
        elif isinstance(target, ir.Subscript):
            base, key = self.value(target.value), self.value(target.index)
            if base == Dotted("os.environ") and isinstance(key, str) and isinstance(_plain(value), str):
                self.environment[key] = _plain(value)
            elif isinstance(base, dict) and isinstance(key, str | int):
                base[key] = value

    def _import(self, node: ir.Import) -> None:
        if not node.names:
            top = node.module if node.bound else node.module.partition(".")[0]
            self.names[node.bound or top] = Dotted(top)
        for bound, name in node.names.items():
            if name == "*":
                for dotted in DECODERS:
                    module, _, function = dotted.rpartition(".")
                    if module == node.module:
                        self.names[function] = Dotted(dotted)
            else:
                self.names[bound] = Dotted(f"{node.module}.{name}")

    # --- expressions -----------------------------------------------------------------------------------------------

    def value(self, node: ir.Expr) -> Any:
        """The constant behind an expression, or ``UNKNOWN``."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooMuch
        handler = getattr(self, f"_{type(node).__name__.lower()}_expression", None)
        return handler(node) if handler else UNKNOWN

    def _const_expression(self, node: ir.Const) -> Any:
        return node.value

    def _name_expression(self, node: ir.Name) -> Any:
        return self.names.get(node.id, Dotted(f"builtins.{node.id}"))

    def _function_expression(self, node: ir.Function) -> Any:
        return node

    def _attribute_expression(self, node: ir.Attribute) -> Any:
        base = self.value(node.value)
        if isinstance(base, Dotted):
            constants = CONSTANT_MODULES.get(base.name)
            constant = getattr(constants, node.attr, None) if constants else None
            return constant if isinstance(constant, int) else Dotted(f"{base.name}.{node.attr}")
        if isinstance(base, str) and node.attr == "parent":
            return posixpath.dirname(base)
        if isinstance(base, str) and node.attr == "name":
            return posixpath.basename(base)
        if isinstance(base, Handle) and node.attr == "name":
            return base.path
        if isinstance(base, Compiled) and node.attr == "loader":
            return base
        return UNKNOWN

    def _subscript_expression(self, node: ir.Subscript) -> Any:
        base = self.value(node.value)
        plain = _plain(base)
        index: Any
        if isinstance(node.index, ir.Slice):
            bounds = [
                _plain(self.value(part)) if part is not None else None
                for part in (node.index.lower, node.index.upper, node.index.step)
            ]
            index = slice(*bounds)
        else:
            index = _plain(self.value(node.index))
        if isinstance(plain, str | bytes | list | tuple | dict):
            try:
                return _like(base, plain[index])
            except (TypeError, KeyError, IndexError, ValueError):
                return UNKNOWN
        return UNKNOWN

    def _binary_expression(self, node: ir.Binary) -> Any:
        return self._binary(node.op, self.value(node.left), self.value(node.right))

    def _binary(self, op: str, left: Any, right: Any) -> Any:
        one, other = _plain(left), _plain(right)
        try:
            if op == "+":
                return _like(left if isinstance(left, Payload) else right, one + other)
            if op == "/" and isinstance(one, str) and isinstance(other, str):
                return posixpath.join(one, other)
            if op == "*" and isinstance(one, int) and isinstance(other, int):
                return one * other
            if op in "-|<<" and isinstance(one, int) and isinstance(other, int) and abs(other) < 1 << 32:
                return {"-": one - other, "|": one | other}.get(op, one << min(other, 64) if other >= 0 else UNKNOWN)
        except TypeError:
            return UNKNOWN
        return UNKNOWN

    def _compare_expression(self, node: ir.Compare) -> Any:
        left, right = _plain(self.value(node.left)), _plain(self.value(node.rights[0]))
        if node.ops == ["=="] and isinstance(left, str | int) and isinstance(right, str | int):
            return left == right
        return UNKNOWN

    def _conditional_expression(self, node: ir.Conditional) -> Any:
        body = self.value(node.body)
        return body if body is not UNKNOWN else self.value(node.orelse)

    def _sequence_expression(self, node: ir.Sequence) -> Any:
        items = [self.value(item) for item in node.items]
        return tuple(items) if node.kind == "tuple" else items

    def _dictionary_expression(self, node: ir.Dictionary) -> Any:
        pairs = [(_plain(self.value(key)), self.value(value)) for key, value in node.items if key is not None]
        return {key: value for key, value in pairs if isinstance(key, str | int | bytes)}

    def _format_expression(self, node: ir.Format) -> Any:
        parts = [part if isinstance(part, str) else _plain(self.value(part)) for part in node.parts]
        return "".join(map(str, parts)) if all(isinstance(part, str | int) for part in parts) else UNKNOWN

    def _walrus_expression(self, node: ir.Walrus) -> Any:
        value = self.names[node.target.id] = self.value(node.value)
        return value

    def _comprehension_expression(self, node: ir.Comprehension) -> Any:
        generator = node.generators[0]
        items = _plain(self.value(generator.iterable))
        if len(node.generators) > 1 or generator.conditions or node.kind == "dict":
            return UNKNOWN
        if not isinstance(items, list | tuple | str | bytes | range) or len(items) > MAX_LOOP:
            return UNKNOWN
        values = []
        for item in items:
            self._bind(generator.target, item)
            values.append(self.value(node.element))
        return values

    # --- calls -----------------------------------------------------------------------------------------------------

    def _call_expression(self, node: ir.Call) -> Any:
        args = [self.value(argument.value) for argument in node.args if argument.keyword is None and not argument.star]
        keywords = {argument.keyword: self.value(argument.value) for argument in node.args if argument.keyword}
        if isinstance(node.func, ir.Attribute):
            base = self.value(node.func.value)
            if not isinstance(base, Dotted):
                return self._method(base, node.func.attr, args, node.line)
        func = self.value(node.func)
        if isinstance(func, ir.Function):
            return self._own(func, args, keywords)
        if isinstance(func, Dotted):
            return self._foreign(func.name, args, keywords, node.line)
        return UNKNOWN

    def _own(self, function: ir.Function, args: list[Any], keywords: dict[str, Any]) -> Any:
        if self.depth >= MAX_CALLS:
            return UNKNOWN
        outer, self.names = self.names, dict(self.names)
        for position, param in enumerate(function.params):
            default = self.value(param.default) if param.default is not None else UNKNOWN
            self.names[param.name] = args[position] if position < len(args) else keywords.get(param.name, default)
        self.depth += 1
        try:
            result = self.run(function.body)
        finally:
            self.depth -= 1
            self.names = outer
        return UNKNOWN if result is None else result

    def _foreign(self, name: str, args: list[Any], keywords: dict[str, Any], line: int) -> Any:
        if name in DECODERS:
            return self._decode(name, args, keywords)
        if name in EXECUTORS:
            position = EXECUTORS[name]
            self._execute(args[position] if position < len(args) else UNKNOWN, line, name)
            return UNKNOWN
        if name in PASS_THROUGH and args:
            chosen = (
                args[1] if name.endswith(("spec_from_file_location", "SourceFileLoader")) and len(args) > 1 else args[0]
            )
            return (
                Compiled(chosen)
                if name.startswith(("importlib", "builtins.compile")) and not isinstance(chosen, Compiled)
                else chosen
            )
        if name in ("os.environ.setdefault", "os.putenv") and len(args) == 2:
            if isinstance(args[0], str) and isinstance(args[1], str):
                self.environment.setdefault(args[0], args[1])
            return UNKNOWN
        if name == "os.environ.update" and args and isinstance(args[0], dict):
            self.environment.update({k: v for k, v in args[0].items() if isinstance(k, str) and isinstance(v, str)})
            return UNKNOWN
        return self._builtin(name, args, keywords)

    def _builtin(self, name: str, args: list[Any], keywords: dict[str, Any]) -> Any:
        plain = [_plain(arg) for arg in args]
        if name == "builtins.open" and args:
            mode = plain[1] if len(plain) > 1 else keywords.get("mode", "r")
            return Handle(plain[0], "b" in str(mode)) if isinstance(plain[0], str) else UNKNOWN
        if name == "os.path.join" and all(isinstance(part, str) for part in plain):
            return posixpath.join(*plain) if plain else UNKNOWN
        if name == "os.path.dirname" and plain and isinstance(plain[0], str):
            return posixpath.dirname(plain[0])
        if name in ("tempfile.mkdtemp", "tempfile.gettempdir"):
            return "/tmp"
        if name == "tempfile.NamedTemporaryFile":
            return Handle("/tmp/temporary.py", binary=False)
        if name == "json.loads" and plain and isinstance(plain[0], str | bytes):
            return _json(args[0], plain[0])
        if name == "builtins.__import__" and plain and isinstance(plain[0], str):
            return Dotted(plain[0])
        if name == "importlib.import_module" and plain and isinstance(plain[0], str):
            return Dotted(plain[0])
        if name == "builtins.getattr" and len(args) > 1 and isinstance(args[0], Dotted) and isinstance(plain[1], str):
            return Dotted(f"{args[0].name}.{plain[1]}")
        if name in ("builtins.globals", "builtins.dict", "builtins.locals"):
            return dict(keywords)
        if name in (
            "builtins.bytes",
            "builtins.bytearray",
            "builtins.str",
            "builtins.list",
            "builtins.reversed",
            "builtins.tuple",
        ):
            return self._convert(name, args)
        if name == "codecs.decode" and len(plain) > 1:
            alias = {
                "hex": "binascii.unhexlify",
                "base64": "base64.b64decode",
                "zlib": "zlib.decompress",
                "bz2": "bz2.decompress",
            }
            codec = alias.get(str(plain[1]).removesuffix("_codec"))
            return self._decode(codec, args[:1], {}) if codec else UNKNOWN
        return UNKNOWN

    def _convert(self, name: str, args: list[Any]) -> Any:
        plain = _plain(args[0]) if args else b""
        try:
            if name in ("builtins.bytes", "builtins.bytearray") and isinstance(plain, bytes | list | tuple):
                return _like(args[0], bytes(plain))
            if name == "builtins.str" and isinstance(plain, bytes) and len(args) > 1:
                return _like(args[0], plain.decode(str(_plain(args[1]))))
            if name == "builtins.reversed" and isinstance(plain, str | bytes | list):
                return _like(args[0], plain[::-1])
        except (TypeError, ValueError, LookupError):
            return UNKNOWN
        return args[0] if isinstance(plain, str | bytes | list | tuple) else UNKNOWN

    def _decode(self, name: str, args: list[Any], keywords: dict[str, Any]) -> Any:
        plain = [_plain(arg) for arg in args]
        named = {key: _plain(value) for key, value in keywords.items()}
        if any(value is UNKNOWN or isinstance(value, Dotted) for value in (*plain, *named.values())):
            return UNKNOWN
        try:
            encoding, data = decode(name, plain, named)
        except Undecodable as error:
            self.problems.append(str(error))
            return UNKNOWN
        source = args[0] if args else None
        story = source.steps if isinstance(source, Payload) else ()
        return Payload(data, (*story, encoding), source.path if isinstance(source, Payload) else None)

    def _execute(self, source: Any, line: int, how: str) -> None:
        while isinstance(source, Compiled):
            source = source.source
        if isinstance(source, list | tuple):
            scripts = [
                item
                for item in map(_plain, source)
                if isinstance(item, str) and (item.endswith(".py") or item in self.written)
            ]
            if not scripts:
                return
            source = scripts[0]
        is_path = not how.startswith("builtins.")
        if is_path:
            if how == "os.system":
                source = next((word for word in str(_plain(source)).split() if word.endswith(".py")), None)
            if source is None:
                return
            source = self._content(source, binary=False) if isinstance(source, str) else UNKNOWN
        if isinstance(source, str | bytes):
            source = Payload(source)
        self.executed.append(Executed(line, source if isinstance(source, Payload) else UNKNOWN, how))

    # --- methods and files -----------------------------------------------------------------------------------------

    def _method(self, base: Any, name: str, args: list[Any], line: int) -> Any:
        if isinstance(base, Handle):
            return self._handle(base, name, args)
        if isinstance(base, Compiled):
            if name in ("exec_module", "load_module"):
                self._execute(base, line, "importlib.exec_module")
            return base
        plain = _plain(base)
        if name == "decompress" and base is UNKNOWN:
            return self._decode("zstandard.ZstdDecompressor.decompress", args, {})
        if isinstance(plain, str) and (found := self._path(plain, name, args)) is not None:
            return found
        if isinstance(plain, str | bytes):
            return self._text(base, plain, name, [_plain(arg) for arg in args])
        if isinstance(plain, dict):
            return self._dict(plain, name, args)
        if isinstance(plain, list) and name in ("append", "extend") and args:
            plain.append(args[0]) if name == "append" else plain.extend(
                _plain(args[0]) if isinstance(_plain(args[0]), list) else []
            )
        return UNKNOWN

    def _dict(self, plain: dict[Any, Any], name: str, args: list[Any]) -> Any:
        if name == "items":
            return list(plain.items())
        if name == "get" and args:
            return plain.get(_plain(args[0]), args[1] if len(args) > 1 else UNKNOWN)
        return UNKNOWN

    def _text(self, base: Any, plain: str | bytes, name: str, args: list[Any]) -> Any:
        if any(arg is UNKNOWN for arg in args):
            return UNKNOWN
        try:
            if name in ("decode", "encode"):
                return _like(base, getattr(plain, name)(*args))
            if name == "join" and args and isinstance(args[0], list | tuple):
                parts = [_plain(part) for part in args[0]]
                story = next((part for part in args[0] if isinstance(part, Payload)), base)
                return _like(story, plain.join(parts))
            if name in TEXT_METHODS:
                return _like(base, getattr(plain, name)(*args))
        except (TypeError, ValueError, LookupError, AttributeError):
            return UNKNOWN
        return UNKNOWN

    def _path(self, path: str, name: str, args: list[Any]) -> Any:
        if name in ("read_text", "read_bytes"):
            return self._content(path, binary=name == "read_bytes")
        if name in ("write_text", "write_bytes") and args:
            self.written[path] = args[0]
            return UNKNOWN
        if name in ("with_name", "joinpath") and args and isinstance(_plain(args[0]), str):
            return posixpath.join(posixpath.dirname(path) if name == "with_name" else path, _plain(args[0]))
        if name == "with_suffix" and args and isinstance(_plain(args[0]), str):
            return posixpath.splitext(path)[0] + _plain(args[0])
        if name in ("resolve", "absolute", "as_posix"):
            return path
        return Handle(path, "b" in str(_plain(args[0])) if args else False) if name == "open" else None

    def _handle(self, handle: Handle, name: str, args: list[Any]) -> Any:
        if name == "read" and not args:
            return self._content(handle.path, binary=handle.binary)
        if name == "write" and args:
            self.written[handle.path] = args[0]
        return UNKNOWN

    def _content(self, path: str, *, binary: bool) -> Any:
        if path in self.written:
            return self.written[path]
        relative = (
            posixpath.normpath(path.removeprefix(ROOT + "/"))
            if path.startswith(ROOT) or not path.startswith("/")
            else ""
        )
        if relative == self.script:
            data: bytes | None = self.data
        else:
            folder = posixpath.dirname(self.script)
            data = self.sibling(relative) or (self.sibling(posixpath.join(folder, relative)) if folder else None)
        if data is None:
            return UNKNOWN
        return Payload(data if binary else data.decode("utf-8", "replace"), (), relative)


def _json(source: Any, text: str | bytes) -> Any:
    """A bundle: the strings of the document keep the story of the text."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return UNKNOWN
    if isinstance(document, dict):
        return {key: _like(source, value) for key, value in document.items()}
    return [_like(source, value) for value in document] if isinstance(document, list) else _like(source, document)


def _plain(value: Any) -> Any:
    return value.data if isinstance(value, Payload) else value


def _like(source: Any, data: Any) -> Any:
    """A result that keeps the story of what it was made from."""
    if isinstance(source, Payload) and isinstance(data, str | bytes):
        return Payload(data, source.steps, source.path)
    return data
