"""What a walk follows through the machinery around a score: processes, files, modules, C libraries, configuration."""

from __future__ import annotations

from textwrap import dedent

import pytest

from pgaudit.engine.labels import Token
from pgaudit.engine.queries import scores_of
from tests.engine.support import keys, orders, score_of, walked

ADAPT = """
for i in range(100):
    F.cross_entropy(net(val[i * 64 : i * 64 + 64]), val[i * 64 + 1 : i * 64 + 65]).backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
"""
EVALUATE = """
for j in range(100):
    total += F.cross_entropy(net(val[j * 64 : j * 64 + 64]), val[j * 64 + 1 : j * 64 + 65], reduction="sum")
"""


def when(test: str, body: str = ADAPT) -> str:
    return f"if {test}:\n" + "".join(f"    {line}\n" for line in body.strip().splitlines())


def adapts(body: str, environment: dict[str, str] | None = None) -> bool:
    return orders(walked(body + EVALUATE, environment)) == {"before"}


@pytest.mark.parametrize(
    "gather",
    [
        "all_gather(parts, loss)",
        "all_gather_into_tensor(parts, loss)",
        "all_gather_object(parts, loss)",
        "gather(loss, parts)",
    ],
)
@pytest.mark.parametrize("parts", ["torch.zeros(8)", "[torch.zeros(()) for _ in range(8)]", "[None] * 8"])
def test_gathered_scores_are_scores(gather: str, parts: str) -> None:
    body = f"""
    import torch.distributed as dist
    loss, parts = F.cross_entropy(net(val[:64]), val[1:65]), {parts}
    dist.{gather}
    total = sum(parts)
    """
    seen = walked(body)
    assert len(scores_of(seen, score_of(seen).labels)) == 1


@pytest.mark.parametrize(
    "write",
    [
        "with open('cache/val.bin', 'wb') as file:\n    file.write({tokens}.numpy().tobytes())\n",
        "{tokens}.numpy().tofile('part.tmp')\nos.replace('part.tmp', 'cache/val.bin')\n",
    ],
    ids=["handle", "renamed"],
)
def test_what_a_script_wrote_is_what_it_reads_back(write: str) -> None:
    read = "back = torch.from_numpy(np.fromfile('cache/val.bin', dtype=np.uint16))\ntotal = F.cross_entropy(net(back[:64]), back[1:65])\n"
    assert origins(read) == {"val"}
    assert origins(write.format(tokens="torch.zeros(512)") + read) == set()
    assert origins(write.format(tokens='read("data/fineweb_train_*.bin")') + read) == {"train"}


def origins(body: str) -> set[str]:
    """The streams that are scored."""
    seen = walked(body)
    return {token.origin for score in seen.scores for token in seen.labels.of(score.targets, Token)}


DATACLASS = """
from dataclasses import dataclass, field, replace
@dataclass
class Plan:
    adapt: bool = False
    steps: list = field(default_factory=list)
    model: object = field(default_factory=lambda: net)
    sizes: dict = field(default_factory=lambda: {"adapt": 0})
"""


@pytest.mark.parametrize(
    "use,adapted",
    [
        ("plan = Plan()\n" + when("plan.adapt"), False),
        ("plan = replace(Plan(), adapt=True)\n" + when("plan.adapt"), True),
        ("plan = Plan()\n" + ADAPT.replace("net", "plan.model"), True),
        ("plan = Plan()\n" + when("plan.sizes['adapt']"), False),
        ("one, two = Plan(), Plan()\none.steps.append(1)\n" + when("two.steps"), False),
        ("one, two = Plan(), Plan()\ntwo.steps.append(1)\n" + when("two.steps"), True),
    ],
    ids=["default", "replace", "made by a factory", "dict of a factory", "a list each", "the other list"],
)
def test_fields_of_dataclasses(use: str, adapted: bool) -> None:
    assert adapts(DATACLASS + use) is adapted


CHECK = """
def checked(name, allowed):
    if os.environ.get(name, "none") not in allowed:
        raise ValueError(name)
checked("MODE", ("fast", "slow"))
"""


def test_a_check_that_the_known_configuration_fails_did_not_fail() -> None:
    assert adapts(CHECK + ADAPT)


def test_a_check_whose_failure_is_handled_fails() -> None:
    inside = "".join(f"    {line}\n" for line in (CHECK + ADAPT).strip().splitlines())
    assert not adapts(f"try:\n{inside}except ValueError:\n    pass\n")


@pytest.mark.parametrize("change,adapted", [("pass", False), ("ready = step > 5", True)], ids=["left alone", "changed"])
def test_a_flag_that_a_loop_leaves_alone_is_known_after_it(change: str, adapted: bool) -> None:
    body = f"""
    ready = False
    for step in range(1000):
        if step > 2000:
            ready = True
        {change}
    """
    assert adapts(dedent(body) + when("ready")) is adapted


@pytest.mark.parametrize("options", [2, 4, 5, 9])
def test_any_number_of_alternatives_is_kept(options: int) -> None:
    branches = "".join(
        f"{'if' if number == 0 else 'elif'} math.floor(val.float().mean()) == {number}:\n    x = val[{number * 64}:]\n"
        for number in range(options)
    )
    seen = walked(f"{branches}else:\n    x = net\ntotal = F.cross_entropy(net(x[:64]), x[1:65])\n")
    starts = {
        token.start.constant for token in seen.labels.of(seen.scores[-1].targets, Token) if token.start is not None
    }
    assert starts == {64 * number + 1 for number in range(options)}


TRICKS = "import torch\nimport torch.nn.functional as F\ndef adapt(net, val):\n" + "".join(
    f"    {line}\n" for line in ADAPT.strip().splitlines()
)


@pytest.mark.parametrize(
    "load",
    [
        "import importlib\ntricks = importlib.import_module('tricks')\n",
        "from importlib import import_module\ntricks = import_module('tricks')\n",
        """import importlib.util
spec = importlib.util.spec_from_file_location("any", os.path.join(os.path.dirname(__file__), "tricks.py"))
tricks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tricks)
""",
    ],
    ids=["importlib", "from importlib", "by its file"],
)
def test_modules_that_are_imported_by_a_call(load: str) -> None:
    assert orders(walked(load + "tricks.adapt(net, val)\n" + EVALUATE, siblings={"tricks": TRICKS})) == {"before"}
    assert orders(walked(load + EVALUATE, siblings={"tricks": TRICKS})) == set()


LIBRARY = """
#include <stdint.h>
static float hits[1 << 16];
static int32_t latest[1 << 16];
void odds(const int64_t *ids, int64_t n, float *out) {
    for (int64_t i = 2; i < n; i++) {
        uint32_t slot = ((uint32_t)(ids[i - 1] ^ (ids[OTHER] << 3)) * 31u) & 65535u;
        out[i] = hits[slot];
        hits[slot] += latest[slot] == ids[i] ? 1.0f : 0.0f;
        latest[slot] = (int32_t)ids[i];
    }
}
"""
CALLER = """
import ctypes
library = {load}
ids, out = val.numpy(), np.zeros(100000, dtype=np.float32)
library.odds({ids}, ctypes.c_int64(len(ids)), {out})
for j in range(0, 90000, 64):
    loss = F.cross_entropy(net(val[j : j + 64]), val[j + 1 : j + 65], reduction="none")
    total += -torch.log(torch.exp(-loss) + torch.from_numpy(out[j + 1 : j + 65])).sum()
"""


@pytest.mark.parametrize("load", ["ctypes.CDLL('./odds.so')", "ctypes.cdll.LoadLibrary('./odds.so')"])
@pytest.mark.parametrize(
    "ids,out",
    [
        ("ids.ctypes.data", "out.ctypes.data"),
        ("ctypes.c_void_p(ids.ctypes.data)", "ctypes.c_void_p(out.ctypes.data)"),
        ("ids.ctypes.data_as(ctypes.POINTER(ctypes.c_int64))", "out.ctypes.data_as(ctypes.POINTER(ctypes.c_float))"),
    ],
    ids=["address", "pointer", "cast"],
)
def test_libraries_in_c_are_entered(load: str, ids: str, out: str) -> None:
    caller = CALLER.format(load=load, ids=ids, out=out)
    assert keys(walked(caller, foreign=LIBRARY.replace("OTHER", "i"))) > 0
    assert keys(walked(caller, foreign=LIBRARY.replace("OTHER", "i - 2"))) == 0


def test_fill_sets_an_array_anew() -> None:
    body = """
    table = np.zeros(1024)
    for start in range(0, 100000, 512):
        x, y = val[start : start + 512], val[start + 1 : start + 513]
        np.add.at(table, y.numpy(), 1.0)
        {fill}
        total += F.cross_entropy(net(x) + torch.from_numpy(table), y, reduction="sum")
    """
    assert orders(walked(body.format(fill="pass"))) == {"counted"}
    assert orders(walked(body.format(fill="table.fill(0.0)"))) == set()


FILES = """
import random
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Files:
    train: tuple
    val: tuple

files = Files(tuple(sorted(Path("data").glob("fineweb_train_*.bin"))), tuple(sorted(Path("data").glob("fineweb_val_*.bin"))))

def ids(path):
    return torch.from_numpy(np.fromfile(path, dtype="<u2").astype(np.int64))
"""


@pytest.mark.parametrize(
    "shard",
    [
        "{}[0]",
        "random.choice({})",
        "random.Random(7).choice({})",
        "random.sample({}, 2)[0]",
        "np.random.default_rng(1).choice({})",
    ],
)
@pytest.mark.parametrize("split, found", [("train", False), ("val", True)])
def test_the_path_of_a_shard_is_followed(shard: str, split: str, found: bool) -> None:
    learned = ADAPT.replace("val[", "stream[")
    body = f"{FILES}stream = ids({shard.format(f'files.{split}')})\n{learned}"
    assert adapts(body) is found


def test_a_new_axis_moves_no_slice() -> None:
    body = """
    for i in range(100):
        window = val[i * 64 : i * 64 + 65][None]
        logits, targets = net(window[:, :-1]), window[:, 1:]
        key = (targets * 36313 ^ window[:, :-1]) % 4096
        total += F.cross_entropy(logits, targets) * table[key]
        table.index_add_(0, key, torch.ones(64))
    """
    assert keys(walked("table = torch.zeros(4096)" + dedent(body)))
