"""The world around the submission: what it imports, its environment, and the module that it runs as."""

from __future__ import annotations

import builtins
import importlib
import os
import random
import subprocess
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgaudit.probe.inside import attention, clock, cuda, packing
from pgaudit.probe.inside.recorder import Probe, Recorder
from pgaudit.probe.rewrite import PROBE


class Environment(dict[str, str]):
    """``os.environ``: sizes among the values come out small, whether they are set or a default of the code."""

    def __init__(self, values: Mapping[str, str], recorder: Recorder) -> None:
        super().__init__({name: recorder.shrinker.text(name, value) for name, value in values.items()})
        self._shrinker = recorder.shrinker

    def get(self, name: str, default: Any = None) -> Any:  # type: ignore[override]
        if name in self:
            return self[name]
        if isinstance(default, str):
            return self._shrinker.text(name, default)
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            return self._shrinker.size(name, default)
        return default


class Host:
    """Runs one script. Imports of the submission's own modules get the same world."""

    def __init__(self, folder: Path, recorder: Recorder, environment: Mapping[str, str]) -> None:
        self.folder, self.recorder = folder, recorder
        self.substituted: set[str] = set()
        self.environment = Environment(environment, recorder)
        self.shims: dict[str, types.ModuleType] = {
            **cuda.modules(),
            **attention.modules(),
            "time": clock.module(clock.Clock()),
            "os": self._system(),
            "subprocess": self._processes(),
            **packing.modules(),
        }
        self.names = vars(builtins) | {"__import__": self._import}
        self.real_import = builtins.__import__

    def run(self, script: Path) -> None:
        """Execute the script as ``__main__``."""
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 -- what the submission may draw from without a seed of its own
        torch.manual_seed(0)
        cuda.patch_tensors()
        sys.argv = [str(script)]
        sys.path.insert(0, str(self.folder))
        self._execute(script, "__main__")

    def _execute(self, path: Path, name: str) -> types.ModuleType:
        module = types.ModuleType(name)
        shown = path.relative_to(self.folder).as_posix()
        module.__dict__.update(__file__=str(path), __builtins__=self.names)
        module.__dict__[PROBE] = Probe(self.recorder, shown)
        sys.modules[name] = module
        exec(compile(path.read_text("utf-8"), str(path), "exec"), module.__dict__)  # noqa: S102 -- inside the sandbox
        return module

    def _import(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:  # noqa: A002
        if level == 0:
            if name in self.shims and (fromlist or "." not in name):
                self.substituted.add(name)
                return self.shims[name]
            top = name.partition(".")[0]
            if top in self.shims and not fromlist:
                if name not in self.shims:
                    importlib.import_module(name)
                self.substituted.add(name)
                return self.shims[top]
            own = self.folder / f"{name.replace('.', '/')}.py"
            if own.is_file() and "." not in name:
                return sys.modules[name] if name in sys.modules else self._execute(own, name)
        return self.real_import(name, globals, locals, fromlist, level)

    def _system(self) -> types.ModuleType:
        shim = types.ModuleType("os")
        vars(shim).update({name: value for name, value in vars(os).items() if not name.startswith("__")})
        shim.environ = self.environment  # type: ignore[attr-defined]
        shim.getenv = self.environment.get  # type: ignore[attr-defined]
        shim.cpu_count = lambda: 1  # type: ignore[attr-defined]
        return shim

    def _processes(self) -> types.ModuleType:
        shim = types.ModuleType("subprocess")
        vars(shim).update({name: value for name, value in vars(subprocess).items() if not name.startswith("__")})

        def is_absent(command: Any) -> bool:
            words = command.split() if isinstance(command, str) else [str(word) for word in command]
            return bool(words) and ("nvidia-smi" in words[0] or "pip" in words[:4] or words[0] in ("git", "pip"))

        def run(command: Any, *args: Any, **named: Any) -> Any:
            if is_absent(command):
                self.substituted.add(f"command {command if isinstance(command, str) else command[0]}")
                text = named.get("text") or named.get("universal_newlines") or named.get("encoding")
                empty: Any = "" if text else b""
                return subprocess.CompletedProcess(command, 0, empty, empty)
            return subprocess.run(command, *args, **named)

        shim.run = run  # type: ignore[attr-defined]
        shim.check_output = lambda command, *args, **named: (  # type: ignore[attr-defined]
            run(command, **named).stdout if is_absent(command) else subprocess.check_output(command, *args, **named)
        )
        shim.check_call = lambda command, *args, **named: (  # type: ignore[attr-defined]
            0 if is_absent(command) else subprocess.check_call(command, *args, **named)
        )
        return shim
