"""The model file: integers at their own width, raw floats, compressed; no pickle.

    magic (4) | CRC-32 of the rest (4) | codec (1) | length of the header (4) | header | stream | stream | ...

The header is JSON and lists the tensors in order. All floats and scales share the first stream, every matrix of codes
has one of its own. Header and streams are compressed one by one: in parallel, to the same bytes each time.
"""

import io
import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import brotli
import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from torch import Tensor

from reference_trainer.errors import BadInput, OverBudget
from reference_trainer.quantisation import Codec, Quantised

Bytes = NDArray[np.uint8]

MAGIC = b"RTM1"
PREFIX = struct.Struct("<4sI")  # magic, CRC-32
OPENING = struct.Struct("<BI")  # codec, length of the compressed header
CODECS: tuple[Codec, ...] = ("zlib", "zstd", "brotli")
DTYPES = ("float32", "float16", "int64", "int32", "uint8", "bool")  # named alike in numpy and torch
CAP = 16_000_000  # bytes of code and model together stay below


class ArtifactCorrupted(BadInput):
    """The file is not what `write_artifact` wrote."""


class ArtifactTooLarge(OverBudget):
    """Code and model together reach the cap."""


def check_size(code_bytes: int, model_bytes: int, cap: int = CAP) -> int:
    """Bytes of the whole submission, refused unless below the cap."""
    total = code_bytes + model_bytes
    if total >= cap:
        raise ArtifactTooLarge(f"code {code_bytes:,} + model {model_bytes:,} = {total:,} bytes, not below {cap:,}")
    return total


def write_artifact(path: Path, packed: Mapping[str, Quantised | Tensor], codec: Codec) -> int:
    """Write the model, return the bytes it takes. The same tensors give the same bytes."""
    entries: list[dict[str, Any]] = []
    raw: list[bytes] = []  # floats and scales
    codes: list[bytes] = []
    for name, value in packed.items():
        if isinstance(value, Quantised):
            width, stored = store_codes(value)
            entries.append({"name": name, "shape": list(value.codes.shape), "bits": value.bits, "width": width})
            raw.append(value.scales.numpy().tobytes())
            codes.append(stored.tobytes())
        else:
            entries.append({"name": name, "shape": list(value.shape), "dtype": stored_dtype(name, value)})
            raw.append(value.numpy().tobytes())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        streams = list(pool.map(lambda data: compress(data, codec), [b"".join(raw), *codes]))
    listing = json.dumps({"tensors": entries, "streams": [len(stream) for stream in streams]})
    header = compress(listing.encode(), codec)
    rest = b"".join([OPENING.pack(CODECS.index(codec), len(header)), header, *streams])
    path.write_bytes(PREFIX.pack(MAGIC, zlib.crc32(rest)) + rest)
    return PREFIX.size + len(rest)


def read_artifact(path: Path) -> dict[str, Tensor]:
    """The state dict of an artifact. Every matrix is exactly what `Quantised.dequantise` gave before packing."""
    packed = read_packed(path)
    return {name: value.dequantise() if isinstance(value, Quantised) else value for name, value in packed.items()}


def read_packed(path: Path) -> dict[str, Quantised | Tensor]:
    """What `write_artifact` was given."""
    data = path.read_bytes()
    if len(data) < PREFIX.size + OPENING.size:
        raise ArtifactCorrupted(f"{path}: {len(data)} bytes are no artifact")
    magic, checksum = PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise ArtifactCorrupted(f"{path}: begins with {magic!r}, not with {MAGIC!r}")
    rest = memoryview(data)[PREFIX.size :]
    if zlib.crc32(rest) != checksum:
        raise ArtifactCorrupted(f"{path}: its checksum does not match: it is cut short or changed")
    codec_index, length = OPENING.unpack_from(rest)
    file = io.BytesIO(rest[OPENING.size :])
    header = json.loads(decompress(file.read(length), CODECS[codec_index]))
    raw, *codes = [decompress(file.read(size), CODECS[codec_index]) for size in header["streams"]]
    return dict(read_tensors(header["tensors"], io.BytesIO(raw), iter(codes)))


def read_tensors(
    entries: list[dict[str, Any]], raw: io.BytesIO, codes: Iterator[bytes]
) -> Iterator[tuple[str, Quantised | Tensor]]:
    for entry in entries:
        name, shape = entry["name"], entry["shape"]
        if "dtype" in entry:
            yield name, read_tensor(raw, shape, entry["dtype"])
        else:
            integers = load_codes(next(codes), shape, entry["bits"], entry["width"])
            yield name, Quantised(integers, read_tensor(raw, shape[:1], "float16"), entry["bits"])


def read_tensor(raw: io.BytesIO, shape: list[int], dtype: str) -> Tensor:
    data = raw.read(math.prod(shape) * np.dtype(dtype).itemsize)
    return torch.from_numpy(np.frombuffer(data, dtype).reshape(shape).copy())


def stored_dtype(name: str, tensor: Tensor) -> str:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise TypeError(f"{name}: {dtype} has no place in an artifact")
    return dtype


def store_codes(value: Quantised) -> tuple[int, Bytes]:
    """(bits per stored code, bytes): packed at the codes' own bits, or one per byte where that compresses better.

    Codes of 5 and 6 bits straddle bytes when packed, and a byte-wise compressor then finds little of their shape.
    """
    unsigned = (value.codes.numpy().ravel().astype(np.int16) + 2 ** (value.bits - 1)).astype(np.uint8)
    choices = [(value.bits, pack_bits(unsigned, value.bits)), (8, unsigned)]
    return min(choices, key=lambda choice: entropy_bytes(choice[1]))


def load_codes(data: bytes, shape: list[int], bits: int, width: int) -> Tensor:
    """(rows, columns) int8: the inverse of `store_codes`."""
    unsigned = unpack_bits(np.frombuffer(data, np.uint8), width, math.prod(shape))
    return torch.from_numpy((unsigned.astype(np.int16) - 2 ** (bits - 1)).astype(np.int8).reshape(shape))


def pack_bits(values: Bytes, bits: int) -> Bytes:
    """(n,) unsigned values below 2**bits -> (ceil(n * bits / 8),) bytes, most significant bit first."""
    return np.packbits(np.unpackbits(values[:, None], axis=1)[:, 8 - bits :])


def unpack_bits(packed: Bytes, bits: int, count: int) -> Bytes:
    """(count,) unsigned values: the inverse of `pack_bits`."""
    columns = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    return np.right_shift(np.packbits(columns, axis=1).ravel(), 8 - bits, dtype=np.uint8)


def entropy_bytes(data: Bytes) -> int:
    """Bytes that an ideal coder of single bytes needs."""
    counts = np.bincount(data, minlength=256)
    counts = counts[counts > 0]
    return math.ceil(float(counts @ np.log2(data.size / counts)) / 8)


def compress(data: bytes, codec: Codec) -> bytes:
    match codec:
        case "zlib":
            return zlib.compress(data, level=9)
        case "zstd":
            return zstandard.ZstdCompressor(level=22).compress(data)
        case "brotli":
            return bytes(brotli.compress(data, quality=11, lgwin=24))


def decompress(data: bytes, codec: Codec) -> bytes:
    match codec:
        case "zlib":
            return zlib.decompress(data)
        case "zstd":
            return zstandard.ZstdDecompressor().decompress(data)
        case "brotli":
            return bytes(brotli.decompress(data))
