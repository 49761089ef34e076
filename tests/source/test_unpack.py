"""Packed scripts open to the text that they run, and say so when they cannot."""

from __future__ import annotations

import base64
import json
import lzma
import textwrap
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgaudit.source.script import Script
from pgaudit.source.unpack import unpack
from tests.source.wrappers import COMPRESSORS, ENCODINGS, WRAPPERS, packed

TRAINER = "import torch\n\n" + "".join(f"def step_{n}(x):\n    return x * {n}\n\n\n" for n in range(40))
"""Long enough that nobody takes it for the wrapper."""


def opened(text: str | bytes, files: Mapping[str, bytes] | None = None, path: str = "train_gpt.py") -> Script:
    data = text.encode() if isinstance(text, str) else text
    shipped = {path: data, **(files or {})}
    return unpack(path, data, shipped.get)


def b85(text: str) -> str:
    return base64.b85encode(zlib.compress(text.encode())).decode()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_opens_every_wrapper(wrapper: str) -> None:
    script = opened(packed(TRAINER, "raw", "base85", wrapper))
    assert script.body.text == TRAINER
    assert script.gaps == ()


@pytest.mark.parametrize("compressor", COMPRESSORS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_opens_every_codec(compressor: str, encoding: str) -> None:
    assert opened(packed(TRAINER, compressor, encoding, "exec")).body.text == TRAINER


@settings(max_examples=150)
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1),
    st.sampled_from(sorted(COMPRESSORS)),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from(sorted(WRAPPERS)),
)
def test_any_text_opens_to_itself(text: str, compressor: str, encoding: str, wrapper: str) -> None:
    text = TRAINER + "# " + text.replace("\n", "\n# ") + "\n"
    assert opened(packed(text, compressor, encoding, wrapper)).body.text == text


def test_tells_the_steps_and_the_place_of_the_payload() -> None:
    script = opened(f"import zlib\nimport base64 as b\n\nexec(zlib.decompress(b.b85decode({b85(TRAINER)!r})))\n")
    assert script.body.steps == ("base85", "zlib")
    assert script.body.origin is not None
    assert (script.body.origin.path, script.body.origin.line) == ("train_gpt.py", 4)
    assert str(script.body.at(1)) == "train_gpt.py:1 (base85 → zlib)"
    assert (script.body.at(1).shipped_line, script.layers[0].at(1).shipped_line) == (4, 1)


def test_opens_a_package_inside_a_package() -> None:
    script = opened(packed(packed(TRAINER, "xz", "base85", "exec"), "zlib", "base64", "run_path"))
    assert [layer.steps for layer in script.layers] == [(), ("base64", "zlib"), ("base64", "zlib", "base85", "lzma")]
    assert script.body.text == TRAINER
    assert script.body.at(30).shipped_line == script.layers[1].at(1).shipped_line


@pytest.mark.parametrize(
    "payload",
    [
        "DATA = {0!r} {1!r}",
        "DATA = {0!r} + {1!r}",
        "DATA = ({0!r}\n    {1!r})",
        "DATA = ''.join([{0!r}, {1!r}])",
        "a, b = {0!r}, {1!r}\nDATA = f'{{a}}{{b}}'",
        "DATA = {0!r}\nDATA += {1!r}",
        "PARTS = {{'a': {0!r}, 'b': {1!r}}}\nDATA = ''.join(PARTS[key] for key in sorted(PARTS))",
        "DATA = '''\n{0}\n{1}\n'''.replace('\\n', '')",
        "DATA = ''.join('''\n{0}\n{1}\n'''.split())",
        "DATA = ({1!r} + {0!r})[{2}:] + {1!r}",
        "def data(first, rest={1!r}):\n    return first + rest\nDATA = data({0!r})",
        "DATA = ''.join(map(chr, [ord(c) for c in {0!r} + {1!r}]))",
        "DATA = {0!r} if True else ''\nfor part in ({1!r},):\n    DATA = DATA + part",
    ],
)
def test_computes_payloads_that_are_split(payload: str) -> None:
    data = base64.b64encode(zlib.compress(TRAINER.encode())).decode()
    half = len(data) // 2
    stub = payload.format(data[:half], data[half:], len(data) - half)
    script = opened(f"from base64 import *\nfrom zlib import decompress as d\n{stub}\nexec(d(b64decode(DATA)))\n")
    assert script.body.text == TRAINER


@pytest.mark.parametrize(
    "stub",
    [
        "exec(open('inner.py').read())",
        "exec(open(__file__.replace('train_gpt.py', 'inner.py')).read())",
        "import runpy; runpy.run_path('inner.py', run_name='__main__')",
        "import runpy; runpy.run_module('inner', run_name='__main__')",
        "from pathlib import Path\nexec(compile((Path(__file__).parent / 'inner.py').read_text(), 'inner.py', 'exec'))",
        "import os, runpy\nHERE = os.path.dirname(os.path.abspath(__file__))\nrunpy.run_path(os.path.join(HERE, 'inner.py'))",
        "import subprocess, sys\nsubprocess.check_call([sys.executable, '-u', 'inner.py'])",
        "import os\nos.system('torchrun --nproc_per_node=8 inner.py')",
    ],
)
def test_follows_a_stub_into_the_file_that_it_runs(stub: str) -> None:
    script = opened(stub, {"inner.py": TRAINER.encode()})
    assert script.body.text == TRAINER
    assert (script.body.path, script.body.steps) == ("inner.py", ())


def test_reads_a_payload_from_a_data_file() -> None:
    stub = "import lzma, pathlib\nexec(lzma.decompress(pathlib.Path(__file__).with_suffix('.py.xz').read_bytes()))\n"
    script = opened(stub, {"code/train.py.xz": lzma.compress(TRAINER.encode())}, "code/train.py")
    assert script.body.text == TRAINER
    assert script.body.steps == ("code/train.py.xz", "lzma")


def test_reads_a_payload_behind_its_own_code() -> None:
    stub = "import base64\nexec(base64.b64decode(open(__file__).read().split('#' + 'DATA:')[1]))\n"
    script = opened(stub + "#DATA:" + base64.b64encode(TRAINER.encode()).decode())
    assert script.body.text == TRAINER
    assert script.body.steps == ("base64",)


def test_keeps_the_modules_of_a_bundle() -> None:
    bundle = {"train.py": TRAINER, "model.py": "class Model: ...\n"}
    stub = """\
        import json, lzma, os
        here = os.path.dirname(__file__)
        with open(os.path.join(here, "code.lzma"), "rb") as file:
            bundle = json.loads(lzma.decompress(file.read()))
        for name, code in bundle.items():
            with open(os.path.join(here, name), "w") as file:
                file.write(code)
        exec(compile(bundle["train.py"], "train.py", "exec"))
    """
    script = opened(textwrap.dedent(stub), {"code.lzma": lzma.compress(json.dumps(bundle).encode())})
    assert script.body.text == TRAINER
    assert {name: layer.text for name, layer in script.modules.items()} == {"model": "class Model: ...\n"}


def test_modules_built_in_memory_do_not_hide_the_script_around_them() -> None:
    text = f"""\
import sys, types
def install(name, source):
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), module.__dict__)
install("package.model", {"class Model: ..." + chr(10)!r})
{TRAINER * 4}"""
    script = opened(text)
    assert script.body.text == text
    assert script.modules["package.model"].text == "class Model: ...\n"


def test_collects_the_environment_that_the_wrapper_sets() -> None:
    stub = f"""\
import os, zlib, base64
os.environ.setdefault("TTT_ENABLED", "1" if True else "0")
os.environ["TTT_LR"] = str(0.005)
os.environ.update({{"SEED": "7", "TTT_LR": "0.01"}}, RUN_ID="a")
os.environ |= {{"LATE": "1"}}
os.environ.setdefault("SEED", "8")
exec(zlib.decompress(base64.b85decode({b85('import os; os.environ["INNER"] = "1"; ' + TRAINER)!r})))
os.environ["TOO_LATE"] = "1"
"""
    environment = {"TTT_ENABLED": "1", "TTT_LR": "0.01", "SEED": "7", "RUN_ID": "a", "LATE": "1"}
    assert opened(stub).environment == environment


@pytest.mark.parametrize(
    "text, reason",
    [
        ("exec(open('lost.py').read())", "reads lost.py, which the submission does not ship"),
        ("import urllib.request as u\nexec(u.urlopen('http://x').read())", "fetched from the network"),
        ("import sys\nexec(open(sys.argv[1]).read())", "sys.argv"),
        ("import marshal\nexec(marshal.loads(b'abc'))", "bytecode"),
        ("import zlib\nexec(zlib.decompress(b'abc'))", "zlib: "),
        ("import os\nexec(os.environ['CODE'])", "os.environ"),
        ("import antigravity\nexec(antigravity.code())", "antigravity.code()"),
    ],
)
def test_a_stub_that_cannot_be_opened_is_a_gap(text: str, reason: str) -> None:
    (gap,) = opened(text).gaps
    assert reason in gap.reason
    assert gap.location is not None
    assert gap.location.line == text.count("\n") + 1


@pytest.mark.parametrize("compressor", sorted(COMPRESSORS.keys() - {"none", "brotli"}))
def test_a_payload_that_is_cut_off_is_a_gap(compressor: str) -> None:
    compress, decompression = COMPRESSORS[compressor]
    data = compress(TRAINER.encode() * 50)
    script = opened(f"exec({decompression.format(repr(data[: len(data) // 2]))})")
    assert len(script.layers) == 1
    assert len(script.gaps) == 1


@pytest.mark.parametrize("compressor", ["zlib", "gzip", "bz2", "xz", "raw", "brotli", "zstd"])
def test_a_bomb_is_a_gap(compressor: str) -> None:
    compress, decompression = COMPRESSORS[compressor]
    bomb = compress(bytes(100 * 1024 * 1024))
    (gap,) = opened(f"exec({decompression.format(repr(bomb))})").gaps
    assert "decompresses to more than" in gap.reason


@pytest.mark.parametrize(
    "text",
    [
        "exec('a' * 10 ** 9)",
        "exec('a' * 1000000000)",
        "x = 'a'\nfor i in range(100): x = x + x\nexec(x)",
        "x = [1]\nfor i in range(100): x.extend(x)\nexec(str(x))",
        "x = 3\nfor i in range(100): x = x * x\nexec(str(x))",
        "exec('a'.replace('a', 'b' * 1000000).replace('b', 'c' * 1000000))",
        "exec(str(1 << 10000000000))",
        "for i in range(1000000000): pass\nexec(i)",
        "while True: exec('while True: pass')\nexec(x)",
        "def f(): return f()\nexec(f())",
        "import base64\nx = 'YQ==' * 1000000\nfor i in range(1000000): y = base64.b64decode(x)\nexec(y)",
    ],
)
def test_work_without_end_is_a_gap(text: str) -> None:
    script = opened(text)
    assert len(script.layers) == 1 or script.body.text == "while True: pass"
    assert script.gaps


def test_packages_inside_each_other_are_opened_to_a_depth() -> None:
    text = TRAINER
    for _ in range(20):
        text = packed(text, "zlib", "base64", "exec")
    script = opened(text)
    assert "packed too often" in script.gaps[0].reason


def test_a_script_that_runs_itself_is_no_package() -> None:
    text = "import subprocess, sys\nsubprocess.run(['torchrun', __file__])\n"
    script = opened(text)
    assert len(script.layers) == 1
    assert script.gaps == ()


@pytest.mark.parametrize(
    "text",
    [
        TRAINER,
        TRAINER * 3 + "import sys\nexec(open(sys.argv[1]).read())\n",
        TRAINER * 3 + "model.eval(); exec(f'x = {y}')\n",
        TRAINER * 3 + "exec('import os')\n",
        TRAINER * 3 + "import subprocess\nsubprocess.run(['nvidia-smi'])\n",
    ],
)
def test_an_ordinary_script_is_its_own_body(text: str) -> None:
    script = opened(text)
    assert [layer.text for layer in script.layers] == [text]
    assert script.gaps == ()
    assert script.environment == {}


def test_the_way_that_depends_on_the_machine_is_not_guessed() -> None:
    stub = f"import torch\ncode = {TRAINER!r}\nif torch.cuda.is_available():\n    code = 'pass'\nexec(code)\n"
    (gap,) = opened(stub).gaps
    assert "depends on a condition" in gap.reason


def test_never_runs_what_it_opens(tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    code = f"open({str(witness)!r}, 'w').write('x')\nimport os; os.system('touch {witness}')\n"
    opened(code)
    opened(packed(code + TRAINER, "zlib", "base64", "function"))
    opened(f"eval({code.splitlines()[0]!r})")
    assert not witness.exists()


@pytest.mark.parametrize("text", ["This is not Python.", "x = (", "return 1", "exec(", "\0", "import"])
def test_a_broken_script_is_left_to_the_parser(text: str) -> None:
    assert [layer.text for layer in opened(text).layers] == [text]


@settings(max_examples=200)
@given(st.binary())
def test_any_bytes_unpack_to_something(data: bytes) -> None:
    assert opened(data).layers


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                *("exec(x)", "x = x[::2]", "x = [x, x]", "x = {1: x}", "x = x + x", "x = x.decode()", "x = f'{x}'"),
                *(
                    "import zlib",
                    "x = zlib.decompress(x)",
                    "x = b'eJw'",
                    "x = ' pass'",
                    "x = lambda y=1: x",
                    "x = x(x)",
                ),
                *("for x in x: exec(x)", "x = open(x)", "x = x.read()", "del x", "x = -x", "x = x.y", "x.y = x"),
                *("x = eval(x)", "x = compile(x)", "x = __file__", "x = globals()", "x['x'] = x", "x = map(x, x)"),
                *("x = getattr(x, x)", "x, *y = x", "import os; os.environ[x] = x", "with x as x: exec(x)"),
                *("def x(x=x): return x", "x = x % x", "x = x if x else x", "return x", "x = (y := x)"),
            ]
        )
    )
)
def test_any_program_of_these_lines_unpacks_to_something(lines: list[str]) -> None:
    assert opened("\n".join(lines)).layers
