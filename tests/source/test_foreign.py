"""C sources in strings."""

from __future__ import annotations

import pytest

from pgaudit.source.foreign import embedded
from pgaudit.source.script import Layer

C = """#include <stdint.h>
static inline uint64_t mix(uint64_t a, uint64_t b) {
    return a * 31 + b;
}
"""
CUDA = "__global__ void add(float* x, const float* y, int n) {\n    x[threadIdx.x] += y[threadIdx.x];\n}\n"
CPP = "#include <torch/extension.h>\ntorch::Tensor twice(torch::Tensor x) {\n  return x * 2;\n}\n"


@pytest.mark.parametrize(
    "text, sources",
    [
        (f"import ctypes\nSOURCE = r'''{C}'''\n", [(2, C)]),
        (f"SOURCE = {C!r}\n", [(1, C)]),
        (f"a = 1\nSOURCE = (\n    {C[:40]!r}\n    {C[40:]!r}\n)\n", [(3, C)]),
        (f"f(cuda_sources=['''{CUDA}'''], cpp_sources=['''{CPP}'''])\n", [(1, CUDA), (4, CPP)]),
        (f"x = f'''{C.replace('{', '{{').replace('}', '}}')}'''\n", [(1, C)]),
        ("'''How it works: #include <x.h>, then int f(int a); and { a dict }.'''\n", []),
        ("size_t = 1  # static inline int f(int a) {\n", []),
        ("x = 'int main() { return 0; }'\n", [(1, "int main() { return 0; }")]),
    ],
)
def test_finds_the_sources_and_their_lines(text: str, sources: list[tuple[int, str]]) -> None:
    found = embedded(Layer("train_gpt.py", text))
    assert [(layer.origin and layer.origin.line, layer.text) for layer in found] == sources
    assert all(layer.language == "c" for layer in found)


def test_keeps_the_steps_of_the_layer_around() -> None:
    (layer,) = embedded(Layer("train_gpt.py", f"SOURCE = {C!r}", ("base85", "lzma")))
    assert str(layer.at(2)) == "train_gpt.py:2 (base85 → lzma → literal)"
