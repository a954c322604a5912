"""What is written: read back by other software, and never half of it."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from dmcvr.clinical.measures import PhaseVolumes, measures
from dmcvr.errors import InputError
from dmcvr.exam.stack import Patient
from dmcvr.io.slicer import write_segmentation
from dmcvr.io.tidy import COLUMNS, tidy_rows, write_measures
from dmcvr.phantom import Phantom


def oblique(handedness: int) -> NDArray[np.float64]:
    a, b = np.radians([25, -35])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([handedness * 1.3, 1.3, 2.5])
    affine[:3, 3] = [-31.0, 17.5, 202.25]
    return affine


@pytest.mark.parametrize("handedness", [1, -1])
def test_a_segmentation_lies_where_it_lay(tmp_path: Path, handedness: int) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (9, 8, 7)).astype(np.uint8)
    affine, path = oblique(handedness), tmp_path / "labels.seg.nrrd"
    write_segmentation(path, labels, affine)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), labels)
    for voxel in ((0, 0, 0), (8, 7, 6), (3, 0, 5)):
        left_posterior_superior = np.array(image.TransformIndexToPhysicalPoint(voxel))
        np.testing.assert_allclose(left_posterior_superior * [-1, -1, 1], (affine @ [*voxel, 1])[:3], atol=1e-3)


def test_a_segmentation_has_names_and_colours(tmp_path: Path) -> None:
    labels = np.zeros((9, 8, 7), np.uint8)
    labels[2:5, 1:4, 3:6] = 1
    labels[6, 6, 6] = 2
    write_segmentation(tmp_path / "labels.seg.nrrd", labels, oblique(1))
    image = sitk.ReadImage(str(tmp_path / "labels.seg.nrrd"))
    found = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    assert [found[f"Segment{n}_Name"] for n in range(3)] == ["LV cavity", "LV myocardium", "RV cavity"]
    assert [found[f"Segment{n}_LabelValue"] for n in range(3)] == ["1", "2", "3"]
    assert [found[f"Segment{n}_Extent"] for n in range(3)] == ["2 4 1 3 3 5", "6 6 6 6 6 6", "0 -1 0 -1 0 -1"]
    assert all(0 <= float(part) <= 1 for n in range(3) for part in found[f"Segment{n}_Color"].split())
    assert found["Segmentation_MasterRepresentation"] == "Binary labelmap"
    header = (tmp_path / "labels.seg.nrrd").read_bytes()[:2000]
    assert b"space: left-posterior-superior" in header


def test_the_tidy_table_has_every_number(tmp_path: Path) -> None:
    phases = (PhaseVolumes(150.0, 100.0, 160.0), PhaseVolumes(60.0, 102.0, 72.0), PhaseVolumes(100.0, 101.0, 110.0))
    patient = Patient(height_cm=180.0, weight_kg=80.0)
    numbers = measures(phases, phases, ("0", "1", "2"), patient, times_ms=(0.0, 300.0, 600.0))
    segments = {str(n): None if n == 17 else 8.0 + n / 10 for n in range(1, 18)}
    numbers["wall_thickness"] = {"phase": "0", "segments_mm": segments, "mean_mm": 8.9, "max_mm": 11.0}
    write_measures(tmp_path / "measures.csv", numbers)
    with (tmp_path / "measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS

    def value(quantity: str, structure: str, phase: str, convention: str) -> tuple[str, str]:
        keys = {"quantity": quantity, "structure": structure, "phase": phase, "convention": convention}
        (row,) = [row for row in rows if all(row[key] == wanted for key, wanted in keys.items())]
        return row["value"], row["unit"]

    assert value("volume", "lv_cavity", "2", "dense_volume") == ("100.0", "mL")
    assert value("mass", "lv_myocardium", "1", "slice_summation") == ("107.1", "g")
    assert value("edv", "lv", "0", "dense_volume") == ("150.0", "mL")
    assert value("esv_index", "rv", "1", "dense_volume") == ("36.0", "mL/m2")
    assert value("mass_index", "lv", "0", "dense_volume") == ("52.5", "g/m2")
    assert value("ef", "lv", "", "dense_volume") == ("60.0", "%")
    assert value("body_surface_area", "", "", "body_surface_area") == ("2.0", "m2")
    assert value("time", "", "1", "") == ("300.0", "ms")
    assert value("wall_thickness", "aha_segment_3", "0", "wall_thickness") == ("8.3", "mm")
    assert value("wall_thickness", "aha_segment_17", "0", "wall_thickness") == ("", "mm")
    assert value("wall_thickness_max", "lv_myocardium", "0", "wall_thickness") == ("11.0", "mm")
    assert len({tuple(row[key] for key in COLUMNS if key != "value") for row in rows}) == len(rows)
    assert len(rows) == len(list(tidy_rows(numbers))) == 3 + 2 * (3 * 4 + 8 + 6) + 1 + 19


def test_unknown_formats_are_refused(phantom: Phantom, tmp_path: Path) -> None:
    import dmcvr

    stack = phantom.stack.without_labels().select_phases([0])
    heart = dmcvr.reconstruct(stack, method="nearest", spacing_mm=4.0, device="cpu")
    with pytest.raises(InputError, match="choose among nifti, nrrd"):
        heart.save(tmp_path / "out", label_formats=("mha",))
    assert not (tmp_path / "out").exists()
    heart.save(tmp_path / "out", label_formats=("nrrd",), mesh_formats=("stl", "glb"))
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"labels.seg.nrrd", "measures.csv", "lv_cavity.stl", "heart.glb"} <= names
    assert not {"labels.nii.gz", "lv_cavity.ply"} & names
    assert heart.measures["wall_thickness"]["phase"] == "ED"


def _listen() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would theirs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _writing(folder: Path) -> bool:
    """Whether an image lies in a staging folder. Those come and go while they are read, which `glob` cannot bear."""
    try:
        stages = [path for path in folder.iterdir() if path.name.startswith(".out-")]
        return any(path.name.startswith("image") for stage in stages for path in stage.iterdir())
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_writing_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    """The result of an earlier run stays, whole; nothing of the interrupted one does."""
    exam, out = tmp_path / "exam.nii.gz", tmp_path / "out"
    data = np.random.default_rng(0).integers(0, 900, (64, 64, 6, 3)).astype(np.int16)
    nib.save(nib.Nifti1Image(data, np.diag([1.5, 1.5, 8, 1])), exam)
    out.mkdir()
    (out / "run.json").write_text("of an earlier run")
    code = "from dmcvr.cli.main import main; main()"
    options = ["reconstruct", "-i", exam, "-o", out, "--method", "nearest", "--spacing", "0.9"]
    command = [sys.executable, "-c", code, *map(str, options)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=_listen) as process:
        while process.poll() is None and not _writing(tmp_path):
            time.sleep(0.005)
        process.send_signal(how)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "interrupted, nothing was written" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exam.nii.gz", "out"]
    assert [path.name for path in out.iterdir()] == ["run.json"]
