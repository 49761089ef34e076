"""The world around the submission: what it imports, its environment, and the module that it runs as."""

from __future__ import annotations

import builtins
import importlib
import random
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgaudit.probe.inside import attention, clock, cuda, kernels, packages, packing, processes, recurrences, sidecars
from pgaudit.probe.inside.environment import Environment
from pgaudit.probe.inside.recorder import Recorder
from pgaudit.probe.inside.source import Code, OwnModules


class Host:
    """Runs one script. Imports of the submission's own modules get the same world."""

    def __init__(self, folder: Path, recorder: Recorder, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.substituted: set[str] = set()
        """What the submission asked for and got in another form."""
        self.code = Code(folder, recorder, self._import)
        self.shims: dict[str, types.ModuleType] = {
            **cuda.modules(),
            **attention.modules(),
            **kernels.modules(),
            **recurrences.modules(),
            **packing.modules(),
            **packages.modules(folder),
            **processes.imports(self._find),
            "time": clock.module(clock.Clock()),
            "os": processes.system(Environment(environment, recorder.shrinker)),
            "subprocess": processes.processes(self.substituted.add),
        }

    def run(self, script: Path) -> None:
        """Execute the script, which has been rewritten, as ``__main__``."""
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        cuda.patch_tensors()
        source = script.read_text("utf-8")
        sidecars.write(self.folder, source)
        sys.argv = [str(script)]
        sys.path.insert(0, str(script.parent))
        sys.meta_path.insert(0, OwnModules(self.code))
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        self.code.run(source, script, module)

    def _find(self, name: str) -> types.ModuleType | None:
        if name not in self.shims:
            return None
        self.substituted.add(name)
        return self.shims[name]

    def _import(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:  # noqa: A002
        """``import``: ``import a.b`` gives ``a``, ``from a.b import c`` gives ``a.b``."""
        top = name.partition(".")[0]
        if level == 0 and top in self.shims:
            if fromlist and name in self.shims:
                return self._find(name)
            if not fromlist:
                if not self._find(name):
                    importlib.import_module(name)
                return self._find(top)
        return builtins.__import__(name, globals, locals, fromlist, level)
