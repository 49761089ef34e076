"""``torch._dynamo`` that compiles nothing: every optimizer imports the real one, which takes seconds and does nothing here."""

from __future__ import annotations

import sys
import types
from typing import Any

import torch

from pgaudit.probe.inside.inert import Inert


class Untraced(types.ModuleType):
    """The module; whatever it is asked for does nothing, and gives a function back as it is."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert()


def leave_out() -> None:
    """Put the stand-in where Python looks for the module."""
    if "torch._dynamo" in sys.modules:
        return
    for name in ("torch._dynamo", "torch._dynamo.config"):
        sys.modules[name] = Untraced(name)
    torch._dynamo = sys.modules["torch._dynamo"]  # noqa: SLF001
