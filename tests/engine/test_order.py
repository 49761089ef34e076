"""State before score: which orders of training and scoring the walk tells apart, whatever the script calls things."""

from __future__ import annotations

import ast
import builtins

import pytest

from tests.engine.support import PRELUDE, PRINT, orders, walked

SCORE_FIRST = """
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for i in range(100):
    x, y = val[i * 64 : i * 64 + 64], val[i * 64 + 1 : i * 64 + 65]
    with torch.no_grad():
        total += F.cross_entropy(net(x), y, reduction="sum")
    F.cross_entropy(net(x), y).backward()
    opt.step()
    opt.zero_grad()
"""
TRAIN_FIRST = """
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for i in range(100):
    x, y = val[i * 64 : i * 64 + 64], val[i * 64 + 1 : i * 64 + 65]
    F.cross_entropy(net(x), y).backward()
    opt.step()
    opt.zero_grad()
    with torch.no_grad():
        total += F.cross_entropy(net(x), y, reduction="sum")
"""
EVALUATE = """
for j in range(100):
    total += F.cross_entropy(net(val[j * 64 : j * 64 + 64]), val[j * 64 + 1 : j * 64 + 65], reduction="sum")
"""
ADAPT = """
opt = torch.optim.AdamW(net.parameters())
for i in range(0, val.numel(), 64):
    F.cross_entropy(net(val[i : i + 64]), val[i + 1 : i + 65]).backward()
    opt.step()
"""


def test_score_first_is_silent() -> None:
    assert orders(walked(SCORE_FIRST)) == set()


def test_train_first_is_found() -> None:
    assert orders(walked(TRAIN_FIRST)) == {"in loop"}


def test_adaptation_before_the_evaluation_is_found() -> None:
    assert orders(walked(ADAPT + EVALUATE)) == {"before"}


def test_a_later_epoch_that_counts_is_found() -> None:
    body = """
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for epoch in range(5):
        total = torch.zeros(())
        for i in range(100):
            x, y = val[i * 64 : i * 64 + 64], val[i * 64 + 1 : i * 64 + 65]
            loss = F.cross_entropy(net(x), y, reduction="sum")
            total += loss.detach()
            loss.backward()
            opt.step()
    """
    assert orders(walked(body)) == {"later epoch"}


def test_training_on_training_files_is_silent() -> None:
    body = 'train = read("data/fineweb_train_*.bin")\n' + ADAPT.replace("val", "train") + EVALUATE
    assert orders(walked(body)) == set()


def test_a_flag_of_the_environment_decides() -> None:
    indented = "".join(f"    {line}\n" for line in ADAPT.strip().splitlines())
    body = f'if int(os.environ.get("ADAPT", "0")):\n{indented}{EVALUATE}'
    assert orders(walked(body)) == set()
    assert orders(walked(body, {"ADAPT": "1"})) == {"before"}


def test_weights_that_are_loaded_again_forget() -> None:
    saved = "saved = {name: part.clone() for name, part in net.state_dict().items()}\n"
    assert orders(walked(saved + ADAPT + "net.load_state_dict(saved)\n" + EVALUATE)) == set()


def test_weights_that_went_through_a_file_do_not() -> None:
    through = 'torch.save(net.state_dict(), "model.pt")\nfresh = Net()\nfresh.load_state_dict(torch.load("model.pt"))\nnet = fresh\n'
    assert orders(walked(ADAPT + through + EVALUATE)) == {"before"}


@pytest.mark.parametrize(
    "shape",
    {
        "function": "def adapt(model, data):\n{body}\nadapt(net, val)\n",
        "function as a value": "def adapt(model, data):\n{body}\ndef timed(name, work, *given):\n    return work(*given)\ntimed('x', adapt, net, val)\n",
        "method": "class T:\n    def __init__(self, model): self.model = model\n    def go(self, data):\n        model = self.model\n{body}\nT(net).go(val)\n",
        "closure": "def outer(data):\n    model = net\n    def inner():\n{body}\n    inner()\nouter(val)\n",
        "partial": "import functools\ndef adapt(model, data):\n{body}\nfunctools.partial(adapt, net)(val)\n",
        "thread": "import threading\ndef adapt(model, data):\n{body}\nthreading.Thread(target=adapt, args=(net, val)).start()\n",
        "list of functions": "def adapt(model, data):\n{body}\nfor stage in [adapt]:\n    stage(net, val)\n",
        "gradients by hand": "grads = torch.autograd.grad(F.cross_entropy(net(val[:64]), val[1:65]), list(net.parameters()))\nfor p, g in zip(net.parameters(), grads):\n    p.data.add_(g, alpha=-0.1)\n",
    }.items(),
    ids=lambda item: item[0],
)
def test_every_way_to_call_is_followed(shape: tuple[str, str]) -> None:
    lines = ADAPT.replace("net", "model").replace("val", "data").strip().splitlines()
    body = "".join(f"        {line}\n" for line in lines)
    assert orders(walked(shape[1].replace("{body}", body) + EVALUATE)) == {"before"}


def test_phases_on_what_was_scored_are_silent() -> None:
    body = """
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    done = []
    for batch in range(100):
        x, y = val[batch * 64 : batch * 64 + 64], val[batch * 64 + 1 : batch * 64 + 65]
        total += F.cross_entropy(net(x), y, reduction="sum").detach()
        done.append((batch * 64, 64))
        if batch == 50:
            for start, size in done:
                F.cross_entropy(net(val[start : start + size]), val[start + 1 : start + size + 1]).backward()
                opt.step()
    """
    assert orders(walked(body)) == set()


def test_a_tensor_fitted_on_the_window_is_found_and_on_its_context_is_not() -> None:
    body = """
    for w in range(0, 10000, 64):
        x, y = val[w : w + 512], val[w + 1 : w + 513]
        logits = net(x)
        bias = torch.zeros(1024, requires_grad=True)
        opt = torch.optim.Adam([bias])
        F.cross_entropy(logits{part} + bias, y{part}).backward()
        opt.step()
        total += F.cross_entropy(logits + bias, y, reduction="none")[448:].sum()
    """
    assert orders(walked(body.replace("{part}", ""))) == {"fitted"}
    assert orders(walked(body.replace("{part}", "[:448]"))) == set()


def test_a_helper_module_beside_the_script_is_walked() -> None:
    helper = "import torch\nimport torch.nn.functional as F\ndef adapt(net, val):\n" + "".join(
        f"    {line}\n" for line in ADAPT.strip().splitlines()
    )
    assert orders(walked("from tricks import adapt\nadapt(net, val)\n" + EVALUATE, siblings={"tricks": helper})) == {
        "before"
    }


@pytest.mark.parametrize(
    "body", [SCORE_FIRST, TRAIN_FIRST, ADAPT + EVALUATE], ids=["score first", "train first", "adapt"]
)
def test_names_prove_nothing(body: str) -> None:
    source = PRELUDE + body + PRINT
    assert orders(walked(renamed(source), whole=True)) == orders(walked(source, whole=True))


def renamed(source: str) -> str:
    """The script with every name that it binds replaced by a meaningless one."""
    tree = ast.parse(source)
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name != "forward"
    }
    bound |= {arg.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for arg in node.args}
    fresh = {name: f"v{number}" for number, name in enumerate(sorted(bound - set(dir(builtins))))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = fresh.get(node.id, node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.name = fresh.get(node.name, node.name)
        elif isinstance(node, ast.arg):
            node.arg = fresh.get(node.arg, node.arg)
    return ast.unparse(tree)


def test_a_walk_without_end_is_cut_off_and_says_so() -> None:
    body = "def f(n):\n    for a in range(9):\n        for b in range(9):\n            for c in range(9):\n                f(n)\n                g(n)\n"
    body += body.replace("def f", "def g").replace("f(n)\n                g(n)", "f(n)\n                f(n)")
    seen = walked(body + "f(1)\n" + EVALUATE)
    assert seen.problems


def test_recursion_of_the_script_ends() -> None:
    seen = walked("def f(x, n):\n    return f(x, n - 1) if n else x\nf(val, 5000)\n" + EVALUATE)
    assert orders(seen) == set()
    assert any("nested too deeply" in reason for reason in seen.problems)


def test_recursion_over_numbers_hides_nothing() -> None:
    assert not walked("def f(n):\n    return f(n - 1) if n else 0\nf(5000)\n" + EVALUATE).problems


WINDOWS = """
import glob, os
import numpy as np
import torch, torch.nn as nn, torch.nn.functional as F

class Net(nn.Module):
    def forward(self, x, y):
        return F.cross_entropy(self.logits(x), y)

    def logits(self, x):
        return x

def evaluate(net, val, rank):
    state, nats = {{name: weight.clone() for name, weight in net.state_dict().items()}}, 0.0
    for w in list(range(0, val.numel() - 1024, 64))[rank::8]:
        x, y = val[w : w + 1024], val[w + 1 : w + 1025]
        start = 0 if w == 0 else 960
        if start > 0:
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            optimizer.zero_grad()
            net(x[:start], y[:start]).backward()
            optimizer.step()
        losses = F.cross_entropy(net.logits(x), y, reduction="none")
        nats += losses[start:].sum().item()
        if {test}:
            net.load_state_dict({{name: weight.cuda() for name, weight in state.items()}})
    return nats

val = torch.from_numpy(np.fromfile("data/fineweb_val_000000.bin", dtype="<u2"))
net, rank = Net(), int(os.environ["RANK"])
first = evaluate(net, val, rank)
print(f"final val_bpb:{{evaluate(net, val, rank):.4f}}")
"""


@pytest.mark.parametrize(
    "test, found",
    [
        ("start > 0", False),
        ("net is not None and start > 0", False),
        ("start > 5", True),
        ("w > 0", True),
        ("y.numel() > 5", True),
    ],
)
def test_weights_that_are_put_back_wherever_they_were_changed_forget(test: str, found: bool) -> None:
    assert bool(orders(walked(WINDOWS.format(test=test), whole=True))) is found


LEARNING = """
def learn(x, y):
    loss = F.cross_entropy(net(x), y, reduction="sum")
    nats = loss.item()
    loss.backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    return nats

enabled = np.random.rand()
for i in range(100):
    if enabled > 0 and (nats := learn(val[i * 64 : i * 64 + 64], val[i * 64 + 1 : i * 64 + 65])) < 9000:
        total += nats
"""


def test_a_call_in_a_test_happens_once() -> None:
    assert orders(walked(LEARNING)) == set()
