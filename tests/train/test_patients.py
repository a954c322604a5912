"""Labelled patients of every folder that can be trained on: names, phases, and what was looked for."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from helpers.pictures import pictured

from dmcvr.errors import InputError
from dmcvr.train.data import load_training_set, patient_groups
from dmcvr.train.patients import labelled_patients
from dmcvr.train.twins import twins_in


def nnunet(root: Path, names: dict[str, int], cases: tuple[str, ...] = ("a_ED", "a_ES", "b_ED")) -> Path:
    rng = np.random.default_rng(0)
    labels = np.zeros((64, 64, 4), np.uint8)
    for value in sorted(set(names.values()) - {0}):
        labels[10 * value : 10 * value + 10, 20:40] = value
    for case in cases:
        for folder, end, values in (
            ("imagesTr", "_0000", rng.normal(100, 300, labels.shape)),
            ("labelsTr", "", labels),
        ):
            (root / folder).mkdir(parents=True, exist_ok=True)
            image = nib.Nifti1Image(values.astype(np.float32 if end else np.uint8), np.diag([1.5, 1.5, 8.0, 1.0]))
            nib.save(image, root / folder / f"{case}{end}.nii.gz")
    (root / "dataset.json").write_text(json.dumps({"labels": names}))
    return root


def test_nnunet_by_names_and_partly(tmp_path: Path) -> None:
    root = nnunet(tmp_path, {"background": 0, "left atrium": 1, "LV": 2, "RV": 3})
    a, b = labelled_patients(root)
    assert (a.name, b.name, a.known) == ("a", "b", (1, 3))
    stacks = a.load()
    assert [stack.phases for stack in stacks] == [("ED",), ("ES",)]
    assert stacks[0].labels is not None
    assert np.unique(stacks[0].labels).tolist() == [0, 1, 3]
    assert patient_groups(root) == {"a": "", "b": ""}
    data = load_training_set(root, ("a",))
    assert set(data.known) == {0b101}
    assert len(data) == 8
    assert twins_in(root) == ()


def test_a_window_fixes_the_greys(tmp_path: Path) -> None:
    root = nnunet(tmp_path, {"background": 0, "LV": 1}, cases=("a",))
    stack = labelled_patients(root)[0].load()[0]
    fixed = load_training_set(root, window=(-160.0, 440.0))
    middle = fixed.images[0, 112, 112]
    grey = (float(middle) + 1) / 2 * 600 - 160
    assert stack.images[0, 0].min() - 1 <= grey <= stack.images[0, 0].max() + 1
    assert not np.array_equal(fixed.images, load_training_set(root).images)


@pytest.mark.misuse
def test_labels_without_names_are_refused(tmp_path: Path) -> None:
    for names in ({"background": 0, "thing": 1}, {"background": 0, "LV": 1, "lv cavity": 2}, {"LV": 0, "RV": 1}):
        with pytest.raises(InputError, match="does not tell which labels are LV, MYO and RV"):
            labelled_patients(nnunet(tmp_path, names))


def test_pictures_of_the_cavity_alone(tmp_path: Path) -> None:
    pictured(tmp_path)
    (found,) = labelled_patients(tmp_path)
    assert (found.name, found.known) == ("SC-X-01", (1,))
    assert set(load_training_set(tmp_path).known) == {0b001}
