"""Labels that are given: numbered as said, laid on the slices, and refused where they mean something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.hearts import cone
from helpers.niftis import OBLIQUE, grey, save

from dmcvr.errors import InputError
from dmcvr.exam.structures import LABEL_MAPS
from dmcvr.io.labels import to_internal, with_labels
from dmcvr.io.read import read_exam


def test_label_conventions() -> None:
    np.testing.assert_array_equal(to_internal(np.array([0, 1, 2, 3]), "acdc"), [0, 3, 2, 1])
    np.testing.assert_array_equal(to_internal(np.array([0.0, 1.0, 4.0]), "ukbb"), [0, 1, 3])
    np.testing.assert_array_equal(to_internal(np.array([[0, 255], [7, -1]]), "7=lv,255=rv,-1=ignore"), [[0, 3], [1, 0]])
    with pytest.raises(InputError, match="value 5, which the 'mnms' map does not have"):
        to_internal(np.array([0, 5]), "mnms")
    with pytest.raises(InputError, match="as in --label-map 1=rv|1=rv,2=myo,3=lv,5=ignore"):
        to_internal(np.array([0, 5]), "acdc")
    with pytest.raises(InputError, match="Unknown label map 'x'"):
        to_internal(np.array([0]), "x")


def test_values_near_a_whole_number_are_that_number() -> None:
    np.testing.assert_array_equal(to_internal(np.array([0.004, 0.9951, 2.0099, -0.01]), "dmcvr"), [0, 1, 2, 0])
    with pytest.raises(InputError, match=r"2 values between whole numbers \(0.02, 1.5\).* nearest neighbours"):
        to_internal(np.array([0, 0.02, 1.5, 3]), "acdc")


def test_labels_of_a_file_fit_the_stack(tmp_path: Path) -> None:
    downwards = OBLIQUE @ np.diag([1, 1, -1, 1])  # stored from the far end: the stack turns it
    exam = read_exam(save(tmp_path / "x.nii.gz", grey(20, 18, 7), downwards))
    labels = np.random.default_rng(1).integers(0, 4, (20, 18, 7)).astype(np.uint8)
    found = with_labels(exam, save(tmp_path / "l.nii.gz", labels, downwards), "mnms").labels
    assert found is not None
    np.testing.assert_array_equal(np.moveaxis(found[0], 0, 2)[..., ::-1], labels)
    with pytest.raises(InputError, match="lie elsewhere"):
        with_labels(exam, save(tmp_path / "e.nii.gz", labels), "mnms")
    with pytest.raises(InputError, match="1 phase.s., 6 slices"):
        with_labels(exam, save(tmp_path / "s.nii.gz", labels[..., :6], downwards), "mnms")
    labels = labels.astype(np.float32)
    labels[3, 3, 3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        with_labels(exam, save(tmp_path / "n.nii.gz", labels, downwards), "mnms")


def test_labels_of_all_phases_serve_those_that_are_taken(tmp_path: Path) -> None:
    exam = read_exam(save(tmp_path / "x.nii.gz", grey(40, 40, 6, 3)))
    labels = np.moveaxis(np.repeat(cone(), 3, axis=0), (0, 1), (3, 2))
    labels[..., 1] = 0
    path = save(tmp_path / "l.nii.gz", labels)
    two = with_labels(exam, path, "dmcvr", phases=[0, 2])
    assert two.phases == ("0", "2")
    np.testing.assert_array_equal(two.labels, np.repeat(cone(), 2, axis=0))
    with pytest.raises(InputError, match="no heart in phase 1: every voxel is background; choose a labelled phase"):
        with_labels(exam, path, "dmcvr")


#: The numbering a file is written in, what is said of it, and what the sentence has to name (None: it fits).
MEANT = [
    ("dmcvr", "dmcvr", None),
    ("acdc", "acdc", None),
    ("acdc", "dmcvr", "acdc"),
    ("dmcvr", "acdc", "dmcvr"),
    ("acdc", "1=myo,2=rv,3=lv", "acdc"),
    ("dmcvr", "1=myo,2=lv,3=rv", "dmcvr"),
    ("5=rv,7=myo,9=lv", "5=lv,7=myo,9=rv", "5=rv,7=myo,9=lv"),
    ("2=lv,3=myo,1=rv", "acdc", "1=rv,2=lv,3=myo"),
    ("mnms", "ukbb", None),
]


@pytest.mark.parametrize(("written", "said", "named"), MEANT)
@pytest.mark.parametrize("without_rv", [False, True])
def test_exchanged_structures_are_seen(
    tmp_path: Path, written: str, said: str, named: str | None, without_rv: bool
) -> None:
    ours = cone()
    if without_rv:
        ours[ours == 3] = 0
    pairs = LABEL_MAPS[written].items() if written in LABEL_MAPS else _pairs(written)
    theirs = np.zeros_like(ours)
    for value, structure in pairs:
        theirs[ours == structure] = value if structure else 0
    exam = read_exam(save(tmp_path / "x.nii.gz", grey(40, 40, 6)))
    path = save(tmp_path / "l.nii.gz", np.moveaxis(theirs[0], 0, 2))
    if named is None:
        np.testing.assert_array_equal(with_labels(exam, path, said).labels, ours)
        return
    with pytest.raises(InputError, match="structures are exchanged") as refused:
        with_labels(exam, path, said)
    right = str(refused.value).rsplit("--label-map ", 1)[1].rstrip(".")
    assert without_rv or right == named
    np.testing.assert_array_equal(with_labels(exam, path, right).labels, ours)


def test_a_cavity_alone_tells_nothing(tmp_path: Path) -> None:
    exam = read_exam(save(tmp_path / "x.nii.gz", grey(40, 40, 6)))
    path = save(tmp_path / "l.nii.gz", np.moveaxis(cone()[0] == 1, 0, 2).astype(np.uint8))
    assert with_labels(exam, path, "1=rv").labels is not None


def _pairs(text: str) -> list[tuple[int, int]]:
    names = {"lv": 1, "myo": 2, "rv": 3}
    return [(int(value), names[name]) for value, name in (pair.split("=") for pair in text.split(","))]
