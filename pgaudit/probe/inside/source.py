"""The submission's code on its way into Python: modules of its own, and source that it makes and executes, are rewritten too."""

from __future__ import annotations

import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pgaudit.probe.inside.recorder import Probe, Recorder
from pgaudit.probe.rewrite import PROBE, Unreadable, rewrite


class Code:
    """Executes the submission's code with the built-in names of the host."""

    def __init__(self, folder: Path, recorder: Recorder, importing: Callable[..., Any]) -> None:
        self.folder, self.recorder = folder, recorder
        self.names = vars(builtins) | {"__import__": importing, "exec": self._exec, "compile": self._compile}

    def run(self, source: str, path: Path, module: types.ModuleType) -> None:
        """Execute rewritten source as a module."""
        shown = path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name
        module.__dict__["__file__"] = str(path)
        self._equip(module.__dict__, shown)
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 -- inside the sandbox

    def _equip(self, names: dict[str, Any], shown: str) -> None:
        names["__builtins__"] = self.names
        names[PROBE] = Probe(self.recorder, shown)

    def _compile(self, source: Any, filename: Any, mode: str, *args: Any, **named: Any) -> Any:
        """``compile``: what is to be executed is rewritten."""
        named.setdefault("dont_inherit", True)
        text = _rewritten(source) if mode == "exec" else source
        return compile(text, filename, mode, *args, **named)

    def _exec(
        self, code: Any, names: dict[str, Any] | None = None, local: Mapping[str, Any] | None = None, /, **named: Any
    ) -> None:
        """``exec``: where no names are given, in those of the caller."""
        names = named.pop("globals", names)
        local = named.pop("locals", local)
        if names is None:
            caller = sys._getframe(1)  # noqa: SLF001 -- as the built-in does
            names = caller.f_globals
            local = local if local is not None else caller.f_locals
        if names.get("__builtins__") is not self.names:
            self._equip(names, "<executed>")
        if isinstance(code, (str, bytes)):
            code = compile(_rewritten(code), "<executed>", "exec", dont_inherit=True)
        exec(code, names, names if local is None else local, **named)  # noqa: S102 -- inside the sandbox


class OwnModules(importlib.abc.MetaPathFinder):
    """Finds modules and packages that belong to the submission; they run as its script does."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def find_spec(
        self, name: str, path: Sequence[str] | None, _target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path or [*sys.path, str(self.code.folder)])
        origin = Path(spec.origin) if spec and spec.origin else None
        if spec is None or origin is None or origin.suffix != ".py" or not origin.is_relative_to(self.code.folder):
            return None
        spec.loader = _Loader(self.code, origin)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, code: Code, path: Path) -> None:
        self.code, self.path = code, path

    def exec_module(self, module: types.ModuleType) -> None:
        self.code.run(_rewritten(self.path.read_text("utf-8")), self.path, module)


def _rewritten(source: Any) -> Any:
    """Source that can be rewritten, rewritten; a syntax tree or what cannot be read as it is."""
    text = source.decode("utf-8", "replace") if isinstance(source, (bytes, bytearray)) else source
    if not isinstance(text, str):
        return source
    try:
        return rewrite(text)
    except Unreadable:
        return source
