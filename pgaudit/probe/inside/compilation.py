"""``torch._dynamo`` and ``torch._inductor`` that compile nothing.

Every optimizer imports the real tracer, which takes seconds and has nothing to do here.
"""

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
    for package in ("_dynamo", "_inductor"):
        for name in (f"torch.{package}", f"torch.{package}.config"):
            sys.modules[name] = Untraced(name)
        setattr(torch, package, sys.modules[f"torch.{package}"])
