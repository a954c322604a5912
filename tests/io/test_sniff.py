"""What a file holds, by its first bytes; and gzip streams of every kind."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers.niftis import grey

from dmcvr.errors import InputError
from dmcvr.io.sniff import content, head, inflate, kind_of, kind_of_bytes

NIFTI = nib.Nifti1Image(grey(20, 18, 4), np.eye(4)).to_bytes()


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (NIFTI, "nifti"),
        (nib.Nifti2Image(grey(20, 18, 4), np.eye(4)).to_bytes(), "nifti"),
        (NIFTI[:344] + b"ni1\0" + NIFTI[348:], "pair"),
        (NIFTI[:344] + b"\0\0\0\0", "analyze"),
        (b"NRRD0004\ntype: short\n", "nrrd"),
        (b"ObjectType = Image\nNDims = 3\n", "metaimage"),
        (b"Comment = made by hand\nNDims=3\n", "metaimage"),
        (b"PK\x03\x04" + bytes(30), "zip"),
        (b'<?xml version="1.0"?><Workspace:x xmlns:Hash="http://www.circlecvi.com/cvi42">', "cvi42"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "side file"),
        (bytes(257) + b"ustar\0", "tar"),
        (b"", ""),
        (b"NDims", ""),
        (b"hello, this is a text about NDims and DimSize", ""),
        (bytes(128) + b"DICM", ""),
    ],
)
def test_kinds(start: bytes, kind: str) -> None:
    assert kind_of_bytes(start) == kind


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "X.NII.GZ", "x"])
def test_packing_is_seen_and_the_name_is_not(tmp_path: Path, layers: int, name: str) -> None:
    data = NIFTI
    for _ in range(layers):
        data = gzip.compress(data)
    (tmp_path / name).write_bytes(data)
    assert kind_of(tmp_path / name) == "nifti"
    assert content(tmp_path / name) == NIFTI
    assert head(tmp_path / name, 400) == NIFTI[:400]


def test_members_join_and_what_follows_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(NIFTI[:500]) + gzip.compress(NIFTI[500:]) + bytes(99) + b"rubbish")
    assert content(path) == NIFTI


@pytest.mark.parametrize("at", [0.5, -6, -2])
def test_a_changed_stream_is_damaged(tmp_path: Path, at: float) -> None:
    packed = bytearray(gzip.compress(NIFTI))
    packed[int(at * len(packed)) if 0 < at < 1 else int(at)] ^= 4
    (tmp_path / "x.gz").write_bytes(packed)
    with pytest.raises(InputError, match="x.gz is damaged"):
        content(tmp_path / "x.gz")
    (tmp_path / "x.gz").write_bytes(gzip.compress(NIFTI)[:-9])
    with pytest.raises(InputError, match="cut off"):
        content(tmp_path / "x.gz")


def test_a_stream_of_more_than_its_header_says_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(10_000)))
    assert len(content(tmp_path / "x.gz", limit=10_000)) == 10_000
    with pytest.raises(InputError, match="more bytes than its header says"):
        content(tmp_path / "x.gz", limit=9_999)


def test_inflate_wants_exactly_what_is_claimed() -> None:
    packed = zlib.compress(NIFTI)
    assert inflate(packed, "x", size=len(NIFTI)) == NIFTI
    assert inflate(gzip.compress(NIFTI), "x", size=len(NIFTI)) == NIFTI
    changed = packed[:-2] + bytes([packed[-2] ^ 1, packed[-1]])
    for data, size in ((packed, len(NIFTI) - 1), (packed, len(NIFTI) + 1), (packed[:-2], len(NIFTI)), (changed, 20)):
        with pytest.raises(InputError, match="x is damaged"):
            inflate(data, "x", size=size)
