"""Ranks: one process per GPU under torchrun, or a single process; gloo on CPUs."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from reference_trainer.errors import BadInput

LARGEST_WORLD = 8  # a global batch is eight parts, which the ranks share by gradient accumulation


@dataclass(frozen=True)
class Ranks:
    """This process among all that train the same network."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in float64."""
        total = tensor.double()
        if self.world_size > 1:
            total = total.clone()
            dist.all_reduce(total)
        return total

    def mean(self, value: float) -> float:
        """The same number on all ranks, whatever each of them measured."""
        return self.sum(torch.tensor(value, dtype=torch.float64, device=self.device)).item() / self.world_size

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replaces each tensor by its sum over all ranks, in one exchange."""
        if self.world_size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def barrier(self) -> None:
        if self.world_size > 1:
            dist.barrier()

    def wait(self) -> None:
        """Waits for the device, so that a clock read next is right."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Joins the processes that torchrun started; without torchrun this one is alone."""
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if world_size < 1 or LARGEST_WORLD % world_size:
        raise BadInput(f"{world_size} processes cannot share a batch of {LARGEST_WORLD} equal parts; use 1, 2, 4 or 8")
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if world_size > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=rank, world_size=world_size)
    try:
        yield Ranks(rank, world_size, device)
    finally:
        if world_size > 1:
            dist.destroy_process_group()
