"""What a script meets inside: run in the sandbox, it says itself what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pgaudit import policy
from pgaudit.evidence.evidence import Evidence
from pgaudit.probe import runner
from pgaudit.probe import text as texts
from pgaudit.probe.record import RunRecord
from pgaudit.reproduce import interpreter
from tests.enclosed import sandbox_or_skip
from tests.support import submission

pytest.importorskip("torch")
pytest.importorskip("sentencepiece")

SCRIPT = """
import importlib, json, os, subprocess, sys, time
import numpy as np
import torch, torch.nn.functional as F
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP

found = {}

# Devices, streams, compilation
device = torch.device("cuda", 0)
torch.cuda.set_device(device)
found["device"] = [torch.ones(1, device=device).device.type, torch.cuda.is_available(), torch.ones(1).cuda().is_cuda]
found["capability"] = torch.cuda.get_device_capability()
with torch.cuda.stream(torch.cuda.Stream()), torch.autocast("cuda", dtype=torch.bfloat16):
    found["dtype"] = str(torch.ones(2).to(torch.bfloat16).dtype)
@torch.compile(dynamic=False)
def double(x): return 2 * x
found["compiled"] = double(2)
import torch._dynamo
torch._dynamo.config.cache_size_limit = 64
torch.backends.cuda.enable_math_sdp(False)

# Distributed
dist.init_process_group(backend="nccl")
found["world"] = [dist.get_world_size(), dist.get_rank(), DDP(torch.nn.Linear(2, 2))(torch.ones(1, 2)).shape[1]]

# Attention: a query sees what comes before it in its own document
from flash_attn_interface import flash_attn_func, flash_attn_varlen_func
q, k, v = (torch.randn(1, 6, heads, 4) for heads in (4, 2, 2))
ours = flash_attn_func(q, k, v, causal=True)
right = F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), is_causal=True, enable_gqa=True)
borders = torch.tensor([0, 2, 6], dtype=torch.int32)
parts = flash_attn_varlen_func(q[0], k[0], v[0], borders, borders, 4, 4, causal=True)
found["attention"] = bool(torch.allclose(ours, right.transpose(1, 2), atol=1e-6))
found["varlen"] = bool(torch.allclose(parts[:2], ours[0, :2], atol=1e-6)) and not bool(torch.allclose(parts[2:], ours[0, 2:]))
found["window"] = bool(torch.allclose(flash_attn_func(q, k, v, causal=True, window_size=(0, 0))[:, :, 0], v[:, :, 0]))

from torch.nn.attention.flex_attention import create_block_mask, flex_attention
mask = create_block_mask(lambda b, h, query, key: query >= key, None, None, 6, 6)
flexible = torch.compile(flex_attention)(*(x.transpose(1, 2) for x in (q, k, v)), block_mask=mask, enable_gqa=True)
found["flex"] = bool(torch.allclose(flexible, right, atol=1e-6))

# Triton: programs side by side, and one with control flow of its own
import triton
import triton.language as tl
@triton.jit
def softmax_kernel(out, rows, width, BLOCK: tl.constexpr):
    columns = tl.arange(0, BLOCK)
    mask = columns < width
    row = tl.load(rows + tl.program_id(0) * width + columns, mask=mask, other=-float("inf"))
    powers = tl.exp(row - tl.max(row, axis=0))
    tl.store(out + tl.program_id(0) * width + columns, powers / tl.sum(powers, axis=0), mask=mask)
@triton.jit
def add_kernel(out, left, right, count, BLOCK: tl.constexpr):
    start = tl.program_id(0) * BLOCK
    if start < count:
        places = start + tl.arange(0, BLOCK)
        tl.store(out + places, tl.load(left + places, mask=places < count) + tl.load(right + places, mask=places < count),
                 mask=places < count)
rows, out = torch.randn(5, 6), torch.zeros(5, 6)
softmax_kernel[(5,)](out, rows, 6, BLOCK=8, num_warps=4)
total = torch.zeros(30)
add_kernel[lambda meta: (triton.cdiv(30, meta["BLOCK"]),)](total, rows, out, 30, BLOCK=16)
found["triton"] = [bool(torch.allclose(out, rows.softmax(1))), bool(torch.equal(total.view(5, 6), rows + out))]

# Recurrences
from fla.ops.delta_rule import chunk_delta_rule
o, state = chunk_delta_rule(*(torch.ones(1, 3, 1, 2) for _ in range(3)), torch.full((1, 3, 1), 0.5), scale=1.0)
found["delta"] = o[0, :, 0, 0].tolist()

# Environment, clock, commands, packages
found["environment"] = [os.environ.get("MODEL_DIM", "512"), os.environ.get("NUM_LAYERS", "11"), os.environ["TTT_EPOCHS"],
                        os.environ.get("TTT_ENABLED", "0"), os.environ.get("FREEZE", "2"), os.environ.get("RESULTS", "none")]
began = time.perf_counter(); time.sleep(300)
found["slept"] = round(time.perf_counter() - began)
found["smi"] = subprocess.run(["nvidia-smi"], stdout=subprocess.PIPE, text=True).stdout
open("packed", "wb").write(b"abc")
subprocess.run(["lrzip", "-z", "-L", "9", "-o", "packed.lrz", "packed"], check=True)
subprocess.run(["lrzip", "-d", "-f", "-o", "unpacked", "packed.lrz"], check=True)
found["lrzip"] = open("unpacked").read()
import wandb
wandb.init(project="x").log({"loss": 1})
found["importlib"] = importlib.import_module("flash_attn").flash_attn_func is flash_attn_func
found["spec"] = [importlib.util.find_spec(name) is not None for name in ("flash_attn", "no_such_package")]

# Own modules, and source that is made and executed
from helpers.deep import width, where
names = {}
exec(compile("model_dim = 512\\nplace = 'cuda'", "made", "exec"), names)
found["own"] = [width, where, names["model_dim"], names["place"]]
exec("late = 'cuda'")
found["late"] = late
found["path"] = os.path.basename(__file__) + " " + __name__

# Compressors keep the format that was asked for
import lzma, zlib
filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**16}]
raw = lzma.compress(b"a" * 99, format=lzma.FORMAT_RAW, filters=filters)
found["packing"] = [len(lzma.decompress(raw, lzma.FORMAT_RAW, filters=filters)), len(zlib.decompress(zlib.compress(b"a" * 99, 9))),
                    len(lzma.decompress(lzma.compress(b"a" * 99, preset=9 | lzma.PRESET_EXTREME)))]
half = torch.tensor([1.5], dtype=torch.float16)
found["half"] = [half.numpy().tobytes().hex(), torch.empty(2, pin_memory=True).shape[0]]

# Files
import glob
folder = os.environ["DATA_PATH"]
tokens = np.fromfile(glob.glob(os.path.join(folder, "fineweb_val_0*.bin"))[0], dtype="<u2", offset=1024)
sizes = np.fromfile(glob.glob(os.path.join(folder, "fineweb_val_bytes_*.bin"))[0], dtype="<u2", offset=1024)
import sentencepiece
tokenizer = sentencepiece.SentencePieceProcessor(model_file=os.environ["TOKENIZER_PATH"])
found["bytes"] = [len(tokens) == len(sizes), int(sizes.sum()), len(tokenizer.decode(tokens.tolist()).encode())]
found["alias"] = os.path.exists("data/datasets/fineweb10B_sp1024_caseops")
print("FOUND " + json.dumps(found))
"""
DEEP = b"import torch\nfrom . import base\nmodel_dim = 512\nwidth = model_dim\nwhere = torch.device('cuda').type + base.NAME\n"


def _run(script: str, folder: Path, others: Mapping[str, bytes] | None = None) -> RunRecord:
    backend = sandbox_or_skip()
    evidence = Evidence(submission(script, others).submissions[0], policy.load().edition_at(None))
    text = texts.make(1024)
    settings = runner.Settings(
        {"TTT_EPOCHS": "20", "TTT_ENABLED": "True", "FREEZE": "None", "RESULTS": "/workspace/results"}, seconds=60
    )
    python = interpreter.ask(None, evidence.submission, "")
    return runner.run(evidence, text, {"base": text.validation}, settings, backend, python, folder)["base"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script found."""
    others = {"helpers/__init__.py": b"", "helpers/base.py": b"NAME = '!'\n", "helpers/deep.py": DEEP}
    record = _run(SCRIPT, tmp_path_factory.mktemp("host") / "run", others)
    assert record.ending == "finished", record.ending
    (line,) = [line for _, line in record.printed if line.startswith("FOUND ")]
    answers: dict[str, Any] = json.loads(line.removeprefix("FOUND "))
    return answers | {"substituted": record.substituted}


@cache
def _expected() -> dict[str, Any]:
    return {
        "device": ["cpu", True, True],
        "capability": [9, 0],
        "dtype": "torch.float32",
        "compiled": 4,
        "world": [1, 0, 2],
        "attention": True,
        "varlen": True,
        "window": True,
        "flex": True,
        "triton": [True, True],
        "delta": [1.0, 1.0, 1.0],
        "environment": ["64", "11", "3", "1", "2", "none"],
        "slept": 300,
        "smi": "",
        "lrzip": "abc",
        "importlib": True,
        "spec": [True, False],
        "own": [64, "cpu!", 64, "cpu"],
        "late": "cpu",
        "packing": [99, 99, 99],
        "half": ["003e", 2],
        "path": "train_gpt.py __main__",
        "alias": True,
    }


@pytest.mark.parametrize("name", sorted(_expected()))
def test_the_host_answers(found: dict[str, Any], name: str) -> None:
    assert found[name] == _expected()[name]


def test_the_side_file_counts_the_bytes_of_the_text(found: dict[str, Any]) -> None:
    same_length, counted, decoded = found["bytes"]
    assert same_length
    assert counted == pytest.approx(decoded, abs=8)


def test_what_was_substituted_is_told(found: dict[str, Any]) -> None:
    assert {"flash_attn_interface", "triton", "wandb", "command nvidia-smi", "torch.distributed"} <= set(
        found["substituted"]
    )


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    record = _run("import no_such_package", tmp_path / "run")
    assert record.ending == "ModuleNotFoundError: No module named 'no_such_package'"
