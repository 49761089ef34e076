"""The script imports a module that is neither shipped nor an installed package.

## What it flags
An import at the top of the script, outside of any `try`, of a module that the record folder does not hold.

## Why it is not allowed
The challenge asks for a train_gpt.py that runs inside its folder; such a script stops at its first lines for everybody but its author.

## How it decides
The module is no part of Python's standard library, no file or directory of the folder, none that the script builds or names in a
string, none of the packages that submissions are known to use, and none that a requirements file, the README or a shell script names.

## Known limits
A package that is installed by hand and nowhere named looks like a missing module. Imports inside functions are not followed.

## How to fix
Ship the module in the folder, or name the package in requirements.txt.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.reading import is_readable
from pgaudit.evidence.run import MAIN, Run
from pgaudit.finding import Confidence, Finding
from pgaudit.program import ir
from pgaudit.rule import Rule, Ruling, Strength
from pgaudit.source.text import decode

RULE = Rule.declare(
    __file__,
    __doc__,
    mechanism="script-broken",
    leads_to="defect",
    rulings=(
        Ruling(Strength.README, "0hq", "2026-03-18", "README", "The folder holds a train_gpt.py that runs inside it."),
        Ruling(
            Strength.COMMUNITY,
            "MatoTeziTanka",
            "2026-04-11",
            "#842",
            "The import of a module that is not shipped fails.",
        ),
    ),
)

PACKAGES = frozenset(
    {
        "Cython", "PIL", "accelerate", "apex", "bitsandbytes", "brotli", "causal_conv1d", "causal_conv1d_cuda", "constriction",
        "cupy", "cutlass", "datasets", "deepspeed", "einops", "fla", "flash_attn", "flash_attn_3", "flash_attn_interface",
        "huggingface_hub", "jax", "kernels", "liger_kernel", "lz4", "mamba_ssm", "matplotlib", "mlx", "modal", "ninja",
        "numba", "numpy", "pandas", "peft", "psutil", "pyarrow", "pybind11", "pynvml", "pytest", "python_minifier",
        "regex", "requests", "safetensors", "scipy", "selective_scan_cuda", "sentencepiece", "setuptools", "sklearn",
        "tensorboard", "tiktoken", "tokenizers", "torch", "torchao", "torchvision", "tqdm", "transformer_engine",
        "transformers", "triton", "wandb", "xformers", "yaml", "zstandard", "zstd", "typing_extensions", "sympy", "networkx", "fsspec", "google", "pkg_resources",
        "IPython", "joblib", "h5py", "dotenv", "cut_cross_entropy", "torch_xla", "flashinfer", "msgpack", "hf_transfer", "filelock",
        "jinja2", "packaging", "absl", "ray", "openai", "dill", "cloudpickle", "hydra", "omegaconf", "rich", "typer",
    }
)  # fmt: skip
"""What the submissions of the challenge import, and the usual neighbours."""
OTHER_PYTHONS = frozenset({"asynchat", "asyncore", "compression", "distutils", "imp", "smtpd"})
"""Modules of the standard library of another version than this one."""
_REQUIREMENT = re.compile(r"^\s*([A-Za-z][\w.-]*)", re.MULTILINE)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Look up every module that the script needs before it does anything."""
    run = evidence.run
    if run is None:
        return
    available = (
        sys.stdlib_module_names
        | OTHER_PYTHONS
        | PACKAGES
        | _shipped(evidence)
        | _required(evidence)
        | run.modules.keys()
    )
    named = "\n".join([*_strings(run), *_instructions(evidence)]).replace("-", "_")
    for node in _needed(run.modules[MAIN].body):
        root = node.module.partition(".")[0]
        if root and root not in available and not re.search(rf"\b{re.escape(root)}\b", named):
            yield RULE.finding(
                f"the script needs the module {root}, which is not shipped and no known package",
                run.at((MAIN, node.line)),
                confidence=Confidence.MEDIUM,
            )
            return


def _needed(body: Iterable[ir.Stmt]) -> Iterator[ir.Import]:
    """Imports that run with the module: not in functions, and not in a ``try`` or ``with`` that may catch their failure."""
    for statement in body:
        if isinstance(statement, ir.Import):
            yield statement


def _strings(run: Run) -> Iterator[str]:
    """The texts that the script holds: it may install a package, or write the module."""
    for node in run.nodes:
        if isinstance(node, ir.Const) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ir.Format):
            yield from (part for part in node.parts if isinstance(part, str))


def _instructions(evidence: Evidence) -> Iterator[str]:
    """What the README and shell scripts say has to be installed."""
    for path, file in evidence.submission.files.items():
        if path.lower().endswith((".md", ".sh", ".bash", ".toml", ".yml", ".yaml")) and is_readable(file):
            yield decode(file.data).text


def _shipped(evidence: Evidence) -> set[str]:
    """Names that an import can find in the folder: files without their suffix, and directories."""
    parts = [part for path in evidence.submission.files for part in path.split("/")]
    return {part.partition(".")[0] for part in parts}


def _required(evidence: Evidence) -> set[str]:
    """Packages that a requirements file names."""
    files = (
        file for path, file in evidence.submission.files.items() if "requirements" in path.lower() and is_readable(file)
    )
    return {name.replace("-", "_") for file in files for name in _REQUIREMENT.findall(decode(file.data).text)}
