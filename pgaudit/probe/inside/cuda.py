"""``torch`` as a submission sees it: its CUDA surface on a CPU, bfloat16 as float32, compilation left out.

Only the submission gets these names; torch itself, and every library, sees the real ones.
"""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.attention
import torch.nn.parallel
from torch import Tensor, nn

from pgaudit.probe.inside.distributed import Parallel, World
from pgaudit.probe.inside.inert import Inert

NAME = "NVIDIA H100 80GB HBM3"
MEMORY = 85_520_809_984
FACTORIES = (
    "empty",
    "zeros",
    "ones",
    "full",
    "tensor",
    "rand",
    "randn",
    "randint",
    "empty_like",
    "zeros_like",
    "ones_like",
)
"""Functions that may be asked for pinned memory, which only a machine with an accelerator has."""


class Stream:
    """A stream on which everything is done at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.cuda_stream = 0
        self.device = torch.device("cpu")

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def wait_stream(self, _: Any) -> None:
        return None

    synchronize = record_event = wait_event = query = lambda *_, **__: None


class Event:
    """An event that has happened."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.device = torch.device("cpu")

    record = synchronize = wait = lambda *_, **__: None

    def query(self) -> bool:
        return True

    def elapsed_time(self, _: Any) -> float:
        return 1.0


class Graph:
    """A graph that is not captured: what runs under it runs."""

    def __init__(self, *_: Any, **__: Any) -> None:
        return None

    def replay(self) -> None:
        raise NotImplementedError("CUDA graphs are not replayed on a CPU")


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _no_choice(*_: Any, **__: Any) -> contextlib.nullcontext[None]:
    """A context that changes nothing: of which kernel computes attention, of what a profiler sees."""
    return contextlib.nullcontext()


class Cuda(types.ModuleType):
    """``torch.cuda``."""

    Stream, Event, CUDAGraph = Stream, Event, Graph
    synchronize = set_device = empty_cache = reset_peak_memory_stats = ipc_collect = staticmethod(_nothing)
    reset_max_memory_allocated = set_per_process_memory_fraction = init = memory_summary = staticmethod(_nothing)
    amp: types.ModuleType
    nvtx: types.ModuleType
    manual_seed = manual_seed_all = staticmethod(lambda seed: torch.manual_seed(seed) and None)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch.cuda, name)

    def is_available(self) -> bool:
        return True

    is_initialized = is_bf16_supported = is_available

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def memory_allocated(self, *_: Any) -> int:
        return 2**30

    max_memory_allocated = max_memory_reserved = memory_reserved = memory_allocated

    def mem_get_info(self, *_: Any) -> tuple[int, int]:
        return MEMORY, MEMORY

    def get_device_name(self, *_: Any) -> str:
        return NAME

    def get_device_capability(self, *_: Any) -> tuple[int, int]:
        return 9, 0

    def get_device_properties(self, *_: Any) -> types.SimpleNamespace:
        return types.SimpleNamespace(
            name=NAME, total_memory=MEMORY, multi_processor_count=132, major=9, minor=0, L2_cache_size=50 * 2**20,
            shared_memory_per_block_optin=232_448, warp_size=32, gcnArchName="",
        )  # fmt: skip

    def current_stream(self, *_: Any) -> Any:
        return Stream()

    default_stream = current_stream

    def stream(self, *_: Any) -> Any:
        return contextlib.nullcontext()

    device = graph = stream

    def get_rng_state(self, *_: Any) -> Tensor:
        return torch.get_rng_state()

    def get_rng_state_all(self) -> list[Tensor]:
        return [torch.get_rng_state()]

    def set_rng_state(self, state: Tensor, *_: Any) -> None:
        torch.set_rng_state(state)

    def set_rng_state_all(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])

    def make_graphed_callables(self, functions: Any, *_: Any, **__: Any) -> Any:
        return functions


class _DeviceType(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, torch.device)

    def __call__(cls, *_: Any, **__: Any) -> torch.device:
        return torch.device("cpu")


class Device(metaclass=_DeviceType):
    """``torch.device``: every device is this machine's processor."""


class _Autocast(contextlib.ContextDecorator):
    """``torch.autocast``: everything is 32-bit already."""

    def __init__(self, *_: Any, **__: Any) -> None:
        return None

    def __enter__(self) -> _Autocast:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def _unpinned(factory: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(factory)
    def make(*args: Any, **named: Any) -> Tensor:
        named.pop("pin_memory", None)
        return factory(*args, **named)

    return make


def _no_grad(mode: Any = True) -> Any:
    """``torch.inference_mode``, whose tensors may take part in training: compiled code lets them."""
    if callable(mode):
        return torch.no_grad()(mode)
    return torch.no_grad() if mode else contextlib.nullcontext()


class Part(types.ModuleType):
    """A module of torch with some of its names replaced."""

    def __init__(self, real: types.ModuleType, **replaced: Any) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(replaced)
        self.__dict__["real"] = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["real"], name)


def modules() -> dict[str, types.ModuleType]:
    """The parts of torch that a submission gets in place of the real ones, by name."""
    world, cuda = World(), Cuda("torch.cuda")
    amp = Part(torch.amp, autocast=_Autocast)
    cuda.amp = Part(torch.cuda.amp, autocast=_Autocast)
    spans = dict.fromkeys(("range_push", "range_pop", "mark"), _nothing)
    cuda.nvtx = Part(torch.cuda.nvtx, range=_no_choice, **spans)
    attention = Part(torch.nn.attention, sdpa_kernel=_no_choice)
    parallel = Part(torch.nn.parallel, DistributedDataParallel=Parallel)
    network = Part(nn, attention=attention, parallel=parallel)
    compiler = Part(
        torch.compiler,
        disable=Inert(),
        allow_in_graph=Inert(),
        is_compiling=lambda: False,
        cudagraph_mark_step_begin=_nothing,
    )
    chosen = ("enable_cudnn_sdp", "enable_flash_sdp", "enable_math_sdp", "enable_mem_efficient_sdp")
    backend = Part(torch.backends.cuda, sdp_kernel=_no_choice, **dict.fromkeys(chosen, _nothing))
    backends = Part(torch.backends, cuda=backend)
    made = {name: _unpinned(getattr(torch, name)) for name in FACTORIES}
    whole = Part(
        torch, cuda=cuda, distributed=world, device=Device, compile=Inert(), compiler=compiler, autocast=_Autocast,
        amp=amp, nn=network, backends=backends, inference_mode=_no_grad, bfloat16=torch.float32, **made,
    )  # fmt: skip
    found: tuple[types.ModuleType, ...] = (
        whole,
        backends,
        backend,
        compiler,
        cuda,
        world,
        amp,
        attention,
        parallel,
        network,
    )
    return {part.__name__: part for part in found} | {"torch.cuda.amp": cuda.amp, "torch.cuda.nvtx": cuda.nvtx}


def patch_tensors() -> None:
    """Methods that only make sense with a GPU, or narrow floats, do nothing here."""
    same: Callable[..., Any] = lambda self, *_, **__: self  # noqa: E731
    wide: Callable[..., Any] = lambda self, *_, **__: self.float()  # noqa: E731
    for kind in (Tensor, nn.Module):
        kind.cuda = same  # type: ignore[method-assign]
        kind.bfloat16 = wide  # type: ignore[method-assign]
    nn.Module.half = wide  # type: ignore[method-assign]
    Tensor.pin_memory = same  # type: ignore[method-assign]
    Tensor.record_stream = _nothing  # type: ignore[method-assign]
