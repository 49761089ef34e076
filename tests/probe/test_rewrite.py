"""Rewritten code does what the code did."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.probe.rewrite import PROBE, Unreadable, rewrite

pytest.importorskip("torch")

from pgaudit.probe.inside.recorder import Probe, Recorder
from pgaudit.probe.shrink import Shrinker

LEAVES = ("x", "y", "row.sum()", "row.mean()", "np.sum(row)", "len(row)", "2", "0.5", "row[1].item()", "(x+y)", "total")
FORMATS = ('f"{x:.3f}"', "f'{row[0]!r:>{width}}'", 'f"{x=}"', 'f"{{x}} {y}"', '"a" f"{x}" "b"', 'f"""{y}"""')

ARGUMENTS = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument('--model-dim', type=int, default=512)
found = parser.parse_args([]).model_dim
"""
HELPER = """
import os
def number(name, default):
    return int(os.environ.get(name) or default)
found = number('TTT_CHUNK_SIZE', 32_768)
"""


@st.composite
def expressions(draw: st.DrawFn) -> str:
    """Arithmetic as minified scripts write it: without a space that can be left out."""
    first, second, third = (draw(st.sampled_from(LEAVES)) for _ in range(3))
    operator = draw(st.sampled_from(["+", "-", "*"]))
    form = draw(
        st.sampled_from(["{0}{3}{1}", "{0} if x>y else{2}", "({0}{3}{1})*{2}", "[{0},{1}][0]", "max({0},{1})", "-{0}"])
    )
    third = third if third.startswith("(") else f" {third}"
    return form.format(first, second, third, operator)


def _names(source: str) -> tuple[dict[str, Any], Recorder]:
    import numpy as np

    recorder = Recorder(Shrinker())
    names: dict[str, Any] = {
        "np": np, "row": np.array([0.25, 1.5, 3.0]), "x": 1.25, "y": 2.5, "total": 0.0, "width": 12,
        PROBE: Probe(recorder, "a.py"),
    }  # fmt: skip
    exec(compile(source, "a.py", "exec", dont_inherit=True), names)
    return names, recorder


@given(st.lists(expressions(), min_size=1, max_size=4), st.lists(st.sampled_from(FORMATS), max_size=2))
def test_results_are_the_same_to_the_last_digit(sums: list[str], texts: list[str]) -> None:
    source = "\n".join(
        [f"total+={each}" for each in sums] + [f"text={each}" for each in texts] + ["def f():return(row).sum()"]
    )
    before, _ = _names(source)
    after, _ = _names(rewrite(source))
    unseen, _ = _names(rewrite(source, sums=False))
    for name in ("total", "text"):
        assert repr(before.get(name)) == repr(after.get(name)) == repr(unseen.get(name))
    assert before["f"]() == after["f"]()


def test_a_reduction_and_what_is_added_are_seen_element_by_element() -> None:
    names, recorder = _names(rewrite("n = 0\nn += 1\ntotal += row.sum()"))
    assert names["total"] == 4.75
    assert [(*site[:3], recorder.values[index].tolist()) for index, site in enumerate(recorder.sites)] == [
        ("a.py", 3, "reduce", [0.25, 1.5, 3.0]),
        ("a.py", 3, "add", [0.25, 1.5, 3.0]),
    ]


def test_a_mean_loss_leaves_the_losses_of_the_elements() -> None:
    names, recorder = _names(
        rewrite(
            "import torch\nimport torch.nn.functional as F\nlogits = torch.tensor([[0.0, 1.0], [2.0, 0.0]])\n"
            "loss = F.cross_entropy(logits, torch.tensor([0, 0]), reduction='mean')"
        )
    )
    (losses,) = recorder.values
    assert losses.tolist() == pytest.approx([1.3132617, 0.1269280])
    assert losses.mean() == pytest.approx(float(names["loss"]))


@pytest.mark.parametrize(
    "source,expected",
    [
        ('table = {"a": [1, 2]}\ntext = f"{table["a"]} {len(table["a"]):03d}"', "[1, 2] 002"),
        ('text = f"{"\\n".join(["a", "b"])}"', "a\nb"),
        ('text = "x" f"{"y" + "z"!r}" "{}"', "x'yz'{}"),
        ('text = f"{", ".join(f"{n}:{n:.1f}" for n in (1, 2))}"', "1:1.0, 2:2.0"),
        ('value = 3.14159\ntext = f"{{{value=:.2f}}}{"!"}"', "{value=3.14}!"),
    ],
)
def test_newer_f_strings_are_read_by_every_python(source: str, expected: str) -> None:
    rewritten = rewrite(source)
    ast.parse(rewritten, feature_version=(3, 11))
    assert _names(rewritten)[0]["text"] == expected


@pytest.mark.parametrize(
    "source,name,value",
    [
        ("model_dim = 512", "model_dim", 64),
        ("class H:\n    eval_stride: int = 64\nfound = H.eval_stride", "found", 8),
        ("def f(buckets=4_194_304):\n    return buckets\nfound = f()", "found", 256),
        ("found = dict(seq_len=2 * 1024)['seq_len']", "found", 64),
        ("world = 1\ngrad_accum_steps = 8 // world", "grad_accum_steps", 2),
        ("seq_len = 64\nval_seq_len = max(seq_len, 4096)", "val_seq_len", 64),
        (ARGUMENTS, "found", 64),
        ("found = {'model_dim': 512}['model_dim']", "found", 64),
        (HELPER, "found", 256),
        ("device = 'cuda:0'", "device", "cpu:0"),
    ],
)  # fmt: skip
def test_sizes_and_devices_of_the_source(source: str, name: str, value: object) -> None:
    assert _names(rewrite(source))[0][name] == value


def test_thousands_of_operators() -> None:
    source = "total=" + "+".join(["1"] * 1500)
    assert rewrite(source).count("+") == 1499


def test_source_that_is_none() -> None:
    with pytest.raises(Unreadable, match="line 1"):
        rewrite("def (:")
