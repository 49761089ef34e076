"""Small scripts for the engine: a common frame, and the answers to the queries."""

from __future__ import annotations

from textwrap import dedent

import libcst

from pgaudit.engine.events import ReportEvent
from pgaudit.engine.machine import Setting
from pgaudit.engine.queries import order_of, reported, state_before_score, target_in_key
from pgaudit.engine.walk import Walk, walk
from pgaudit.program import ir
from pgaudit.program.lower import lower
from pgaudit.program.native import lower_native

PRELUDE = """
import glob
import math
import os
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def forward(self, x):
        return x

def read(pattern):
    return torch.from_numpy(np.concatenate([np.fromfile(name, dtype="<u2") for name in sorted(glob.glob(pattern))]))

val = read("data/fineweb_val_*.bin")
net = Net()
total = torch.zeros(())
"""
PRINT = '\nprint(f"final val_bpb:{total.item():.4f}")\n'


def walked(
    body: str,
    environment: dict[str, str] | None = None,
    siblings: dict[str, str] | None = None,
    foreign: str = "",
    *,
    whole: bool = False,
) -> Walk:
    """Walk ``body`` between the prelude and the print of ``total``; a ``whole`` script stands alone.

    ``foreign`` is the source of a C library that comes with it.
    """
    source = dedent(body) if whole else PRELUDE + dedent(body) + PRINT
    modules = {name: lower(libcst.parse_module(dedent(text)), name) for name, text in (siblings or {}).items()}
    libraries = [lower_native(dedent(foreign), "library.c")] if foreign else []

    def sibling(name: str) -> ir.Module | None:
        return modules.get(name)

    settings = {name: Setting(value, "the test") for name, value in (environment or {}).items()}
    return walk(lower(libcst.parse_module(source)), environment=settings, sibling=sibling, foreign=lambda: libraries)


def score_of(seen: Walk) -> ReportEvent:
    """The print of the score."""
    found = reported(seen)
    assert found is not None, "no score reaches a print"
    return found.event


def orders(seen: Walk) -> set[str]:
    """The shapes in which state came before the score that is printed."""
    return {str(order_of(seen, hit)) for hit in state_before_score(seen, score_of(seen))}


def keys(seen: Walk) -> int:
    """How many lookups behind the printed score hold the target in their key."""
    return len(list(target_in_key(seen, score_of(seen))))
