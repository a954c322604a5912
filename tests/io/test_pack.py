"""What is packed fast is read by everyone, and is the same every time."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from dmcvr.io.pack import packed, write_packed


def test_any_gzip_unpacks_it() -> None:
    data = np.random.default_rng(0).normal(size=5000).astype(np.float32).tobytes()
    assert gzip.decompress(packed(data)) == data
    assert packed(data) == packed(data)
    assert gzip.decompress(packed(b"")) == b""


def test_parts_become_one_stream(tmp_path: Path) -> None:
    write_packed(tmp_path / "x.gz", (bytes([n]) * 1000 for n in range(9)), before=b"head\n")
    data = (tmp_path / "x.gz").read_bytes()
    assert data.startswith(b"head\n")
    assert gzip.decompress(data[5:]) == b"".join(bytes([n]) * 1000 for n in range(9))
