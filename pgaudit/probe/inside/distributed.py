"""``torch.distributed`` for one process: every collective is what it is for a world of one."""

from __future__ import annotations

import types
from collections.abc import MutableSequence
from typing import Any

import torch
from torch import Tensor, nn


class Done:
    """The handle of a collective that is over."""

    def wait(self, *_: Any) -> bool:
        return True

    def is_completed(self) -> bool:
        return True

    def get_future(self) -> torch.futures.Future[Any]:
        future: torch.futures.Future[Any] = torch.futures.Future()
        future.set_result(None)
        return future


class World(types.ModuleType):
    """The module. What it does not define is torch's own (``ReduceOp``, types, constants)."""

    def __init__(self) -> None:
        super().__init__("torch.distributed")
        self.joined = False

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.distributed, name)

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return self.joined

    def init_process_group(self, *_: Any, **__: Any) -> None:
        self.joined = True

    def destroy_process_group(self, *_: Any, **__: Any) -> None:
        self.joined = False

    def get_rank(self, *_: Any, **__: Any) -> int:
        return 0

    def get_world_size(self, *_: Any, **__: Any) -> int:
        return 1

    def get_backend(self, *_: Any, **__: Any) -> str:
        return "nccl"

    def new_group(self, *_: Any, **__: Any) -> object:
        return object()

    def barrier(self, *_: Any, async_op: bool = False, **__: Any) -> Done | None:
        return Done() if async_op else None

    def monitored_barrier(self, *_: Any, **__: Any) -> None:
        return None

    def all_reduce(self, _tensor: Tensor, *_: Any, async_op: bool = False, **__: Any) -> Done | None:
        return Done() if async_op else None

    reduce = broadcast = send = recv = all_reduce

    def all_gather(
        self, parts: MutableSequence[Tensor], tensor: Tensor, *_: Any, async_op: bool = False, **__: Any
    ) -> Done | None:
        parts[0].copy_(tensor)
        return Done() if async_op else None

    def all_gather_into_tensor(
        self, out: Tensor, tensor: Tensor, *_: Any, async_op: bool = False, **__: Any
    ) -> Done | None:
        out.view(-1).copy_(tensor.reshape(-1))
        return Done() if async_op else None

    _all_gather_base = all_to_all_single = reduce_scatter_tensor = all_gather_into_tensor

    def reduce_scatter(
        self, out: Tensor, parts: list[Tensor], *_: Any, async_op: bool = False, **__: Any
    ) -> Done | None:
        out.copy_(parts[0])
        return Done() if async_op else None

    def gather(self, tensor: Tensor, gather_list: MutableSequence[Tensor] | None = None, *_: Any, **__: Any) -> None:
        if gather_list:
            gather_list[0].copy_(tensor)

    def scatter(self, tensor: Tensor, scatter_list: list[Tensor] | None = None, *_: Any, **__: Any) -> None:
        if scatter_list:
            tensor.copy_(scatter_list[0])

    def all_gather_object(self, objects: MutableSequence[Any], value: Any, *_: Any, **__: Any) -> None:
        objects[0] = value

    def gather_object(
        self, value: Any, object_gather_list: MutableSequence[Any] | None = None, *_: Any, **__: Any
    ) -> None:
        if object_gather_list:
            object_gather_list[0] = value

    def broadcast_object_list(self, *_: Any, **__: Any) -> None:
        return None


class Parallel(nn.Module):
    """``DistributedDataParallel`` of one process."""

    def __init__(self, module: nn.Module, *_: Any, **__: Any) -> None:
        super().__init__()
        self.module = module
        self.require_backward_grad_sync = True

    def forward(self, *args: Any, **named: Any) -> Any:
        return self.module(*args, **named)

    def no_sync(self) -> Any:
        import contextlib

        return contextlib.nullcontext()
