"""Output folders appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
from collections import namedtuple
from pathlib import Path

import pytest

from dmcvr.errors import InputError, OutputError
from dmcvr.io.folder import check_output_file, check_output_folder, whole_folder


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), whole_folder(out) as partial:
        (partial / "half").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with whole_folder(out) as partial:
        (partial / "run.json").write_text("1")
    with whole_folder(out) as partial:
        (partial / "run.json").write_text("2")
    assert (out / "run.json").read_text() == "2"
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="not empty"), whole_folder(tmp_path):
        pytest.fail("must not get here")
    with pytest.raises(InputError, match="is a file"), whole_folder(tmp_path / "thesis.tex"):
        pytest.fail("must not get here")
    with pytest.raises(OutputError, match="cannot be written"), whole_folder(tmp_path / "thesis.tex" / "out"):
        pytest.fail("must not get here")


def test_an_earlier_run_stays_when_the_next_fails(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text("1")
    with pytest.raises(OutputError, match="cannot be written to .*No space left"), whole_folder(out) as partial:
        (partial / "run.json").write_text("2")
        raise OSError(28, "No space left on device")
    assert (out / "run.json").read_text() == "1"
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_has_the_rights_that_the_user_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with whole_folder(tmp_path / "out") as partial:
            (partial / "run.json").write_text("1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "out" / "run.json").stat().st_mode) == 0o640


def test_a_file_that_cannot_be_written_is_said_before_any_work(tmp_path: Path) -> None:
    check_output_file(tmp_path / "table.json")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="There is no folder .*nowhere to write table.json into"):
        check_output_file(tmp_path / "nowhere" / "table.json")
    with pytest.raises(OutputError, match="cannot be written"):
        check_output_file(tmp_path)


def test_too_little_room_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**30, 2**30 - 10 * 2**20, 10 * 2**20))
    check_output_folder(tmp_path / "out", room_mib=10)
    with pytest.raises(OutputError, match="need about 11 MiB, and .* has 10 left: make room"):
        check_output_folder(tmp_path / "out", room_mib=11)
    assert list(tmp_path.iterdir()) == []
