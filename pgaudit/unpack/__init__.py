"""Packed scripts to the code they run: a wrapper's constants are evaluated, its payload decoded, nothing is executed."""

from pgaudit.unpack.layers import unpack

__all__ = ["unpack"]
