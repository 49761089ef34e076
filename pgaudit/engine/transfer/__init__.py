"""What functions outside the submission do to labels: one table of transfer functions per area, nothing else knows names.

Whatever no table lists gets the default: a torch or numpy function returns a value that depends on its arguments; any
other foreign call as well, and it may also be where logits and token ids turn into a loss (``calls.opaque``).
"""

from __future__ import annotations

from collections.abc import Callable

from pgaudit.engine.calls import Arguments, cells_of, opaque
from pgaudit.engine.labels import Iteration
from pgaudit.engine.machine import Machine
from pgaudit.engine.transfer import arrays, builtins, containers, files, foreign, networks, runtime, tensors
from pgaudit.engine.values import (
    Class,
    Const,
    Data,
    Mapping,
    Method,
    Network,
    Optimizer,
    Sequence,
    Value,
)

Transfer = Callable[[Machine, Arguments, int], Value]

FUNCTIONS: dict[str, Transfer] = {
    **builtins.FUNCTIONS,
    **containers.FUNCTIONS,
    **arrays.FUNCTIONS,
    **files.FUNCTIONS,
    **runtime.FUNCTIONS,
    **networks.FUNCTIONS,
    **foreign.FUNCTIONS,
}
PURE_PACKAGES = ("torch.", "numpy.", "math.", "builtins.", "itertools.", "random.", "statistics.", "scipy.")
ALIASES = {"np.": "numpy.", "torch.Tensor.": "torch."}


def call_external(m: Machine, name: str, args: Arguments, line: int) -> Value:
    """Call something outside the submission by its dotted name."""
    transfer = FUNCTIONS.get(name)
    if transfer is not None:
        return transfer(m, args, line)
    if name.startswith("torch.optim.") and not name.startswith("torch.optim.lr_scheduler"):
        return Optimizer(cells_of(m, args.all()))
    if name.startswith("torch.nn.") and name.rpartition(".")[2][:1].isupper():
        return networks.module(m, name, args, line)
    runtime.call_callbacks(m, args, line)
    if name.startswith(PURE_PACKAGES):
        return Data(m.union(args.all()) & ~m.labels.mask(Iteration))
    return opaque(m, args, line)


def call_method_of_value(m: Machine, method: Method, args: Arguments, line: int) -> Value:
    """Call a method of something that is not an object of the script."""
    receiver, name = method.receiver, method.name
    if isinstance(receiver, Network):
        return networks.call_method(m, receiver, name, args, line)
    if isinstance(receiver, Optimizer):
        return networks.call_optimizer(m, receiver, name, args, line)
    if isinstance(receiver, Sequence):
        return containers.call_sequence(m, receiver, name, args, line)
    if isinstance(receiver, Mapping):
        return containers.call_mapping(m, receiver, name, args, line)
    if isinstance(receiver, Const) and isinstance(receiver.value, str | bytes):
        return containers.call_text(m, receiver, name, args, line)
    if isinstance(receiver, Data):
        return tensors.call_method(m, receiver, name, args, line)
    if isinstance(receiver, Class) and name == "apply":
        return opaque(m, args, line)
    if name == "step" and args.positional and isinstance(args.positional[0], Optimizer):
        return networks.call_optimizer(
            m, args.positional[0], name, Arguments([], {}), line
        )  # ``scaler.step(optimizer)``
    return opaque(m, args, line, extra=m.content(receiver))
