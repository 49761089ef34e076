"""Packed scripts for tests: payload codecs and wrapper shapes, written as their authors would."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping

import brotli
import zstandard

RAW = [{"id": lzma.FILTER_LZMA2}]

COMPRESSORS: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "zlib": (zlib.compress, "__import__('zlib').decompress({})"),
    "deflate": (lambda data: zlib.compress(data, wbits=-15), "__import__('zlib').decompress({}, -15)"),
    "gzip": (gzip.compress, "__import__('gzip').decompress({})"),
    "bz2": (bz2.compress, "__import__('bz2').decompress({})"),
    "xz": (lzma.compress, "__import__('lzma').decompress({})"),
    "alone": (lambda data: lzma.compress(data, lzma.FORMAT_ALONE), "__import__('lzma').decompress({})"),
    "raw": (
        lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=RAW),
        "(lambda L: L.decompress({}, format=L.FORMAT_RAW, filters=[{{'id': L.FILTER_LZMA2}}]))(__import__('lzma'))",
    ),
    "brotli": (brotli.compress, "__import__('brotli').decompress({})"),
    "zstd": (zstandard.ZstdCompressor().compress, "__import__('zstandard').ZstdDecompressor().decompress({})"),
    "none": (lambda data: data, "{}"),
}
"""How to compress, and the expression that undoes it."""

ENCODINGS: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "base64": (base64.b64encode, "__import__('base64').b64decode({})"),
    "urlsafe": (base64.urlsafe_b64encode, "__import__('base64').urlsafe_b64decode({})"),
    "base32": (base64.b32encode, "__import__('base64').b32decode({})"),
    "base85": (base64.b85encode, "__import__('base64').b85decode({})"),
    "ascii85": (base64.a85encode, "__import__('base64').a85decode({})"),
    "hex": (lambda data: data.hex().encode(), "bytes.fromhex({}.decode())"),
    "unhexlify": (lambda data: data.hex().encode(), "__import__('binascii').unhexlify({})"),
    "reversed": (lambda data: data[::-1], "{}[::-1]"),
    "xor": (lambda data: bytes(byte ^ 90 for byte in data), "bytes(byte ^ 90 for byte in {})"),
    "integer": (
        lambda data: (
            str(int.from_bytes(b"\1" + data)).encode() if len(data) < 1500 else b"0x" + (b"\1" + data).hex().encode()
        ),
        "(lambda n: n.to_bytes((n.bit_length() + 7) // 8, 'big')[1:])(int({}, 0))",
    ),
}
"""How to write bytes as a literal, and the expression that undoes it."""

WRAPPERS: Mapping[str, str] = {
    "exec": "exec({})",
    "exec of text": "exec(({}).decode('utf-8'))",
    "compile": "exec(compile({}, __file__, 'exec'))",
    "eval": "eval(compile({}, 'x', 'exec'))",
    "alias": "run = exec\nrun({})",
    "getattr": "getattr(__import__('builtins'), 'ex' + 'ec')({})",
    "item": "__builtins__['exec']({})",
    "lambda": "(lambda code: exec(code, globals()))({})",
    "function": "def main(code):\n    exec(code, {{'__name__': '__main__'}})\nif __name__ == '__main__':\n    main({})",
    "linecache": (
        "import linecache\ncode = ({}).decode()\nname = __file__ + '.unpacked'\n"
        "linecache.cache[name] = (len(code), None, code.splitlines(True), name)\nexec(compile(code, name, 'exec'))"
    ),
    "run_path": (
        "import os, runpy, tempfile\npath = os.path.join(tempfile.mkdtemp(), 'train.py')\n"
        "open(path, 'wb').write({})\nrunpy.run_path(path, run_name='__main__')"
    ),
    "with": (
        "import runpy\nfrom pathlib import Path\nhere = Path(__file__).resolve().parent\n"
        "with open(here / '_train.py', 'wb') as file:\n    file.write({})\nrunpy.run_path(str(here / '_train.py'))"
    ),
    "path": "from pathlib import Path\nPath('/tmp/t.py').write_bytes({})\nexec(Path('/tmp/t.py').read_text())",
    "module": (
        "import importlib.util as u, sys\nopen('/tmp/m.py', 'wb').write({})\n"
        "spec = u.spec_from_file_location('__main__', '/tmp/m.py')\nmodule = u.module_from_spec(spec)\n"
        "sys.modules['__main__'] = module\nspec.loader.exec_module(module)"
    ),
    "temporary file": (
        "import subprocess, sys, tempfile\nwith tempfile.NamedTemporaryFile(suffix='.py', delete=False) as file:\n"
        "    file.write({})\nsubprocess.run([sys.executable, file.name] + sys.argv[1:], check=True)"
    ),
    "execv": (
        "import os, sys\nopen('/tmp/e.py', 'wb').write({})\nos.execv(sys.executable, [sys.executable, '/tmp/e.py'] + sys.argv[1:])"
    ),
    "parts": "code = {}\nparts = []\nfor part in [code[:7], code[7:]]:\n    parts.append(part)\nexec(b''.join(parts))",
    "condition": "import os\nif os.environ.get('DEBUG') is None:\n    exec({})",
    "try": "try:\n    exec({})\nexcept ImportError:\n    raise SystemExit(1)",
}
"""What to do with the bytes of the payload."""


def packed(text: str, compressor: str, encoding: str, wrapper: str) -> str:
    """A script that runs ``text``."""
    compress, decompression = COMPRESSORS[compressor]
    encode, decoding = ENCODINGS[encoding]
    literal = repr(encode(compress(text.encode())))
    return WRAPPERS[wrapper].format(decompression.format(decoding.format(literal))) + "\n"
