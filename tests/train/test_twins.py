"""Twins: one scan under several names is found by its content, named, and never parted."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from dmcvr.cli.main import main
from dmcvr.errors import InputError
from dmcvr.io.acdc import list_patients, read_acdc
from dmcvr.phantom import Scan, make_phantom, write_phantom
from dmcvr.train.data import load_training_set
from dmcvr.train.split import BUNDLED_SPLIT, Split
from dmcvr.train.twins import find_twins, fingerprints, twins_in


def save_anew(patient: Path, copy: Path) -> None:
    """The same scan as another site would send it: other name, pixels' type, scale, header, axes; no compression."""
    copy.mkdir()
    shutil.copy(patient / "Info.cfg", copy / "Info.cfg")
    for file in patient.glob("*_frame*.nii.gz"):
        image = nib.load(file)
        labels = "_gt" in file.name
        values = np.asanyarray(image.dataobj)[:, ::-1]  # a flipped axis, and the affine that belongs to it
        if not labels:
            low, high = values.min(), values.max()
            values = np.round((values - low) / (high - low) * 255)
        flipped = image.affine @ np.array([[1, 0, 0, 0], [0, -1, 0, values.shape[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1]])
        saved = nib.Nifti1Image(values.astype(np.uint8), flipped)
        saved.header["descrip"] = b"exported"
        nib.save(saved, copy / file.name.replace(patient.name, copy.name).removesuffix(".gz"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five patients; "renamed" is phantom001."""
    root = tmp_path_factory.mktemp("exams")
    for seed in range(4):
        write_phantom(make_phantom(seed, Scan(spacing_mm=20)), root / f"phantom{seed:03d}")
    save_anew(root / "phantom001", root / "renamed")
    return root


def slices_of(folder: Path) -> NDArray[np.float32]:
    return read_acdc(folder).images


def test_a_renamed_and_resaved_copy_is_found(folder: Path) -> None:
    assert twins_in(folder) == (("phantom001", "renamed"),)
    assert twins_in(folder, ("phantom000", "renamed")) == ()
    assert twins_in(folder, ("nobody",)) == ()


def test_it_is_found_in_a_packed_file_too(folder: Path, tmp_path: Path) -> None:
    load_training_set(folder).save(tmp_path / "packed.npz")
    assert twins_in(tmp_path / "packed.npz") == (("phantom001", "renamed"),)


CHANGES = {
    "phases turned round": lambda s: s[::-1],
    "slices turned round": lambda s: s[:, ::-1],
    "one phase": lambda s: s[:1],
    "every other slice": lambda s: s[:, ::2],
    "axes exchanged": lambda s: s.swapaxes(2, 3),
    "flipped and exchanged": lambda s: s[:, :, ::-1].swapaxes(2, 3)[:, :, ::-1],
    "scaled": lambda s: s * 3.7 - 12,
    "bytes": lambda s: np.round((s - s.min()) / np.ptp(s) * 255).astype(np.uint8),
    "half precision": lambda s: s.astype(np.float16),
    "pixels of double size": lambda s: s[..., ::2, ::2] + s[..., 1::2, ::2] + s[..., ::2, 1::2] + s[..., 1::2, 1::2],
    "a blank slice more": lambda s: np.concatenate([s, np.zeros_like(s[:, :1])], axis=1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_found(folder: Path, change: object) -> None:
    own, other = slices_of(folder / "phantom001"), slices_of(folder / "phantom002")
    assert find_twins({"a": own, "other": other, "b": lambda: change(own)}) == (("a", "b"),)  # type: ignore[operator]


def test_what_is_not_found(folder: Path) -> None:
    """As `dmcvr.train.twins` says."""
    own = slices_of(folder / "phantom001")
    assert find_twins({"a": own, "cut": own[..., 40:, 40:]}) == ()
    assert find_twins({"a": own, "inverted": -own}) == ()


def test_blank_slices_are_no_twins() -> None:
    blank = np.full((1, 3, 32, 32), 7.0)
    assert len(fingerprints(blank)) == 0
    assert find_twins({"a": blank, "b": blank}) == ()


def test_three_names_are_one_group(folder: Path) -> None:
    """Also where two of them share nothing but the third."""
    own, other = slices_of(folder / "phantom001"), slices_of(folder / "phantom002")
    own, other = (s[:, [0, 2, 4]] for s in (own, other))
    pieces = {"c": own, "b": np.concatenate([own[0], other[0][:, : own.shape[2], : own.shape[3]]]), "a": other}
    assert find_twins(pieces) == (("a", "b", "c"),)


def test_a_split_may_not_part_them() -> None:
    twins = (("a", "b"),)
    Split(("a", "b"), ("c",), ()).check_whole(twins)
    Split(("a",), ("c",), ()).check_whole(twins)
    for split in (Split(("a",), ("b",), ()), Split(("a",), (), ("b",)), Split((), ("a",), ("b",))):
        with pytest.raises(InputError, match=r"parts one scan: a \(\w+\) and b \(\w+\).*Move them into one part"):
            split.check_whole(twins)


def test_a_patient_is_in_one_part() -> None:
    with pytest.raises(InputError, match=r"names a more than once \(train, validation\)"):
        Split(("a", "b"), (), ("a",))


def test_a_random_split_keeps_them_together() -> None:
    groups = {f"p{n:02d}": "AB"[n % 2] for n in range(20)}
    twins = (("p00", "p03", "p07"), ("p04", "p05"))  # of different groups, too
    held = set()
    for seed in range(40):
        split = Split.stratified(groups, seed=seed, twins=twins)
        assert sorted(split.names) == sorted(groups)
        split.check_whole(twins)
        held |= set(split.validation)
    assert {"p00", "p04"} <= held  # they may be held out, as any


def test_packing_names_them_and_refuses_to_part_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def pack(split: Split) -> None:
        split.write(tmp_path / "split.json")
        out = tmp_path / "packed.npz"
        main(["train", "pack", "--data", str(folder), "--out", str(out), "--split", str(tmp_path / "split.json")])

    with pytest.raises(SystemExit) as stop:
        pack(Split(("phantom000", "phantom001"), (), ("phantom002", "renamed")))
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert "One scan under several names: phantom001 = renamed." in said.out
    assert "phantom001 (train) and renamed (validation)" in said.err
    assert not (tmp_path / "packed.npz").exists()
    pack(Split(("phantom000", "phantom001", "renamed"), (), ("phantom002",)))
    assert "slices written" in capsys.readouterr().out


def test_the_twins_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "twins", "--data", str(folder)])
    assert "phantom001 = renamed" in capsys.readouterr().out


@pytest.mark.slow
def test_the_bundled_split_parts_no_twins_of_acdc(data: Path) -> None:
    names = {folder.name for folder in list_patients(data / "acdc")}
    twins = twins_in(data / "acdc")
    if len(names) == 100:
        assert twins == (("patient074", "patient076"),)
    Split.read(BUNDLED_SPLIT).check_whole(twins)
