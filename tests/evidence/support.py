"""Small scripts that train nothing and print a score: the frame of the tests about runs."""

from __future__ import annotations

PRELUDE = """\
import os
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

class Net(nn.Module):
    def forward(self, x):
        return x

val = torch.from_numpy(np.fromfile("data/fineweb_val_000000.bin", dtype="<u2"))
net = Net()
"""
ADAPT = """\
F.cross_entropy(net(val[:-1]), val[1:]).backward()
torch.optim.SGD(net.parameters(), lr=0.1).step()
"""
SCORE = """\
bpb = F.cross_entropy(net(val[:-1]), val[1:]).item() / 2
print(f"final_score val_bpb:{bpb:.4f}")
"""
LOG = "final_score val_bpb:1.1000\n"
CLAIM = '{"val_bpb": 1.1}'


def script(middle: str = "") -> str:
    """A script that does ``middle`` before it scores the validation split."""
    return PRELUDE + middle + SCORE


def indented(body: str) -> str:
    """The body of a block."""
    return "".join(f"    {line}\n" for line in body.splitlines())
