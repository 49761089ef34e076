"""What the constant evaluator computes with: constants and their history, names of the library, and what is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import libcst


@dataclass(frozen=True, slots=True)
class Known:
    """A constant, or one of the classes below. ``steps`` tells how it was decoded."""

    data: Any
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that reading cannot tell, and why; ``payload`` says that constant data was about to be decoded."""

    reason: str
    payload: bool = False


Value = Known | Unknown


@dataclass(frozen=True, slots=True)
class Name:
    """A thing of the library by its qualified name: ``lzma.decompress``, ``os.environ``, ``builtins.exec``."""

    path: str


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a constant or of one of these objects, not yet called."""

    receiver: Known
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function or lambda of the script with the scope that it was made in."""

    parameters: libcst.Parameters
    body: libcst.BaseSuite | libcst.BaseExpression
    scope: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Stream:
    """A decompressor object, by the decoder that it stands for, with the options it was made with."""

    decoder: str
    options: Mapping[str, Any]


@dataclass(slots=True)
class OpenFile:
    """A file of the submission, or one that the script writes, opened; or bytes behind the same interface."""

    content: Value
    path: str | None
    binary: bool


@dataclass(frozen=True, slots=True)
class Module:
    """A module object made by hand (``types.ModuleType``), or loaded from a file by ``importlib``."""

    name: str
    path: str | None = None
    attributes: dict[str, Value] = field(default_factory=dict, compare=False)
