"""Triton kernels run block by block with PyTorch: the part of its language that submissions use.

A pointer is a flat view of a tensor with offsets, and a block is a tensor. The programs of a grid run side by side under
``torch.vmap`` and write when all are through; a kernel that needs numbers for its control flow, or reads what it wrote, runs
program by program. Nothing is compiled: what a kernel computes is what its Python text says, in 32-bit arithmetic.
"""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

OPTIONS = frozenset({"num_warps", "num_stages", "num_ctas", "maxnreg", "warmup", "stream", "enable_fp_fusion"})
"""How a kernel is launched; nothing that it computes with."""
ELEMENTWISE = ("exp", "log", "exp2", "log2", "sqrt", "rsqrt", "abs", "sin", "cos", "sigmoid", "floor", "ceil", "erf")


@dataclass(frozen=True)
class Pointer:
    """Places in a tensor's memory; adding to it moves them."""

    memory: Tensor
    """One-dimensional, from the tensor's first element on."""
    offsets: Any = 0

    @property
    def dtype(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(element_ty=self.memory.dtype)

    @classmethod
    def to(cls, tensor: Tensor) -> Pointer:
        length = tensor.untyped_storage().nbytes() // tensor.element_size() - tensor.storage_offset()
        return cls(torch.as_strided(tensor.detach(), (length,), (1,), tensor.storage_offset()))

    def __add__(self, more: Any) -> Pointer:
        return Pointer(self.memory, self.offsets + more)

    __radd__ = __add__

    def __sub__(self, less: Any) -> Pointer:
        return Pointer(self.memory, self.offsets - less)

    def index(self, mask: Any) -> tuple[Tensor, Tensor]:
        """Offsets that can be used, and which of them are meant."""
        offsets = torch.as_tensor(self.offsets).long()
        meant = torch.ones_like(offsets, dtype=torch.bool) if mask is None else torch.as_tensor(mask)
        return torch.where(meant, offsets, 0), meant


@dataclass(frozen=True)
class Descriptor:
    """``TensorDescriptor``: blocks of a matrix; what lies outside reads as zero and is not written."""

    tensor: Tensor
    block_shape: Sequence[int]

    @classmethod
    def from_tensor(cls, tensor: Tensor, block_shape: Sequence[int]) -> Descriptor:
        return cls(tensor.detach(), block_shape)

    def _part(self, starts: Sequence[Any]) -> Tensor:
        return self.tensor[
            tuple(slice(int(start), int(start) + size) for start, size in zip(starts, self.block_shape, strict=True))
        ]

    def load(self, starts: Sequence[Any]) -> Tensor:
        part, block = self._part(starts), self.tensor.new_zeros(tuple(self.block_shape))
        block[tuple(map(slice, part.shape))] = part
        return block

    def store(self, starts: Sequence[Any], block: Tensor) -> None:
        part = self._part(starts)
        part.copy_(block[tuple(map(slice, part.shape))])


class Language(types.ModuleType):
    """``triton.language``."""

    int1, int8, int16, int32, int64 = torch.bool, torch.int8, torch.int16, torch.int32, torch.int64
    uint8, float16, bfloat16, float32, float64 = torch.uint8, torch.float32, torch.float32, torch.float32, torch.float64

    def __init__(self) -> None:
        super().__init__("triton.language")
        for name in ELEMENTWISE:
            setattr(self, name, functools.partial(_elementwise, getattr(torch, name)))
        self.range = self.static_range
        self.place: tuple[Any, ...] = (0,)
        """The program that runs."""
        self.grid: tuple[int, ...] = (1,)
        self.math = self
        self.written: list[tuple[Tensor, bool, tuple[Tensor, Tensor, Tensor]]] | None = None
        """Of programs side by side: memory, whether to add, and index, mask and values."""
        self.one_by_one: set[Callable[..., None]] = set()
        """Kernels that cannot run side by side."""

    class constexpr:  # noqa: N801 -- Triton's name
        """A value known when the kernel is compiled: itself."""

        def __new__(cls, value: Any) -> Any:
            return value

    def program_id(self, axis: int = 0) -> Tensor:
        return torch.as_tensor(self.place[axis] if axis < len(self.place) else 0)

    def num_programs(self, axis: int = 0) -> int:
        return self.grid[axis]

    def arange(self, start: int, end: int) -> Tensor:
        return torch.arange(start, end)

    def zeros(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.zeros(tuple(shape), dtype=dtype)

    def full(self, shape: Sequence[int], value: Any, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.full(tuple(shape), value, dtype=dtype)

    def load(self, pointer: Pointer, mask: Any = None, other: Any = 0, **_: Any) -> Tensor:
        if self.written and any(memory is pointer.memory for memory, *_ in self.written):
            raise RuntimeError("a kernel that reads what it wrote")
        index, meant = pointer.index(mask)
        return torch.where(meant, pointer.memory[index], 0 if other is None else other)

    def store(self, pointer: Pointer, value: Any, mask: Any = None, **_: Any) -> None:
        self._write(pointer, value, mask, add=False)

    def atomic_add(self, pointer: Pointer, value: Any, mask: Any = None, **_: Any) -> None:
        self._write(pointer, value, mask, add=True)

    def _write(self, pointer: Pointer, value: Any, mask: Any, *, add: bool) -> None:
        index, meant = pointer.index(mask)
        new = torch.as_tensor(value, dtype=pointer.memory.dtype).broadcast_to(index.shape)
        if self.written is None:
            pointer.memory.index_put_((index[meant],), new[meant], accumulate=add)
        else:
            self.written.append((pointer.memory, add, (index, meant, new)))

    def side_by_side(self, program: Callable[[], None]) -> None:
        """Run every program of the grid at once; ``RuntimeError`` where that cannot be."""
        places = torch.cartesian_prod(*map(torch.arange, self.grid)).reshape(-1, len(self.grid))

        def one(place: Tensor) -> list[tuple[Tensor, ...]]:
            self.place, self.written = tuple(place.unbind()), []
            program()
            return [values for _, _, values in self.written]

        try:
            results = torch.vmap(one)(places)
            written = self.written or []
        finally:
            self.written = None
        for (memory, add, _), (index, meant, new) in zip(written, results, strict=True):
            memory.index_put_((index[meant],), new[meant], accumulate=add)

    def dot(self, left: Tensor, right: Tensor, acc: Tensor | None = None, **_: Any) -> Tensor:
        product = left.float() @ right.float()
        return product if acc is None else acc + product

    def where(self, condition: Any, yes: Any, no: Any) -> Tensor:
        return torch.where(torch.as_tensor(condition), yes, no)

    def maximum(self, left: Any, right: Any) -> Tensor:
        return torch.maximum(torch.as_tensor(left), torch.as_tensor(right))

    def minimum(self, left: Any, right: Any) -> Tensor:
        return torch.minimum(torch.as_tensor(left), torch.as_tensor(right))

    def sum(self, block: Tensor, axis: int | None = None, **_: Any) -> Tensor:
        return block.sum() if axis is None else block.sum(axis)

    def max(self, block: Tensor, axis: int | None = None, **_: Any) -> Tensor:
        return block.amax() if axis is None else block.amax(axis)

    def min(self, block: Tensor, axis: int | None = None, **_: Any) -> Tensor:
        return block.amin() if axis is None else block.amin(axis)

    def permute(self, block: Tensor, *order: Any) -> Tensor:
        return block.permute(*order)

    def trans(self, block: Tensor) -> Tensor:
        return block.T

    def reshape(self, block: Tensor, *shape: Any) -> Tensor:
        return block.reshape(*shape)

    def split(self, block: Tensor) -> tuple[Tensor, Tensor]:
        return block[..., 0], block[..., 1]

    def join(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.stack((left, right), -1)

    def static_range(self, *bounds: Any, **_: Any) -> Any:
        return range(*map(int, bounds))

    def cdiv(self, total: Any, part: Any) -> Any:
        return (total + part - 1) // part

    def static_assert(self, *_: Any, **__: Any) -> None:
        return None

    multiple_of = max_contiguous = lambda _self, value, *_: value


@dataclass(frozen=True)
class Kernel:
    """A function under ``triton.jit``: ``kernel[grid](…)`` runs it once for each place of the grid."""

    function: Callable[..., None]
    language: Language
    settings: dict[str, Any]
    """What autotuning would choose: its first configuration."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self.function(*args, **named)

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        def launch(*args: Any, **named: Any) -> None:
            named = {**self.settings, **{name: value for name, value in named.items() if name not in OPTIONS}}
            sizes = grid(named) if callable(grid) else grid
            self.language.grid = tuple(map(int, sizes if isinstance(sizes, Sequence) else (sizes,)))
            args = tuple(map(_argument, args))
            named = {name: _argument(value) for name, value in named.items()}
            with torch.no_grad():
                self._run(lambda: self.function(*args, **named))

        return launch

    def _run(self, program: Callable[[], None]) -> None:
        language = self.language
        if self.function not in language.one_by_one:
            try:
                return language.side_by_side(program)
            except RuntimeError:
                language.one_by_one.add(self.function)
        for place in itertools.product(*map(range, language.grid)):
            language.place = place
            program()
        return None


def _elementwise(function: Callable[[Tensor], Tensor], value: Any) -> Tensor:
    return function(torch.as_tensor(value))


def _argument(value: Any) -> Any:
    return Pointer.to(value) if isinstance(value, Tensor) else value


def modules() -> dict[str, types.ModuleType]:
    """``triton``, its language and the descriptors, by name."""
    language, triton = Language(), types.ModuleType("triton")

    def jit(function: Any = None, **_: Any) -> Any:
        return Kernel(function, language, {}) if function else jit

    def autotune(configs: Sequence[Any], **_: Any) -> Any:
        return lambda kernel: Kernel(kernel.function, language, {**configs[0].kwargs, **kernel.settings})

    def configuration(kwargs: dict[str, Any], **_: Any) -> types.SimpleNamespace:
        return types.SimpleNamespace(kwargs=kwargs)

    descriptors = types.ModuleType("triton.tools.tensor_descriptor")
    descriptors.TensorDescriptor = Descriptor  # type: ignore[attr-defined]
    tools = types.ModuleType("triton.tools")
    tools.tensor_descriptor = descriptors  # type: ignore[attr-defined]
    vars(triton).update(
        jit=jit, autotune=autotune, Config=configuration, language=language, tools=tools, cdiv=language.cdiv,
        next_power_of_2=lambda size: 1 << (int(size) - 1).bit_length(), __version__="3.5.0",
        set_allocator=lambda _allocator: None,
    )  # fmt: skip
    return {module.__name__: module for module in (triton, language, tools, descriptors)}
