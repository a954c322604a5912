"""Guide points of biv-me, read back as its own reader reads them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.niftis import OBLIQUE

from dmcvr.cli.main import main
from dmcvr.errors import InputError
from dmcvr.exam.volume import Volume
from dmcvr.io.guidepoints import export_guidepoints, slice_contours
from dmcvr.io.nifti import write_nifti

#: Voxels of 1.5 mm, as a scanner's short axis lies.
GRID = OBLIQUE @ np.diag([1.5 / 1.25, 1, 1.5 / 8.75, 1])
TO_LPS = np.array([-1.0, -1.0, 1.0])
LV, RV = np.array([28.0, 32.0]), np.array([46.0, 32.0])
RADIUS, WALL = 10.0, 6.0


def heart() -> np.ndarray:
    """(P, I, J, K) labels: an LV that narrows from the first plane on, its RV beside it."""
    i, j, k = np.mgrid[:72, :64, :40]
    narrow = np.clip(1 - k / 40, 0, 1)
    to_lv, to_rv = np.hypot(i - LV[0], j - LV[1]), np.hypot(i - RV[0], j - RV[1])
    labels = np.zeros((2, *i.shape), np.uint8)
    for phase, size in enumerate((1.0, 0.8)):
        found = np.zeros(i.shape, np.uint8)
        found[to_rv < 12 * narrow] = 3
        found[to_lv < (RADIUS + WALL) * narrow] = 2
        found[to_lv < RADIUS * size * narrow] = 1
        found[(k < 2) | (k > 35)] = 0
        labels[phase] = found
    return labels


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    folder.mkdir()
    labels = heart()
    write_nifti(folder / "image.nii.gz", Volume(labels.astype(np.float32), GRID))
    write_nifti(folder / "labels.nii.gz", Volume(labels, GRID))
    normal = np.cross(GRID[:3, 0], GRID[:3, 1])
    normal /= np.linalg.norm(normal) * np.sign(normal[np.abs(normal).argmax()])
    places = sorted(float((GRID @ [0, 0, k, 1])[:3] @ normal) for k in range(0, 40, 6))
    run = {"phases": ["ED", "ES"], "input": {"positions_mm": places}}
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "measures.json").write_text("{}")
    return folder


def read(path: Path) -> pd.DataFrame:
    """As GPDataSet.read_contour_file: tabs, a header, x y z, type, slice, weight."""
    return pd.read_csv(path, sep="\t")


def voxels(points: pd.DataFrame) -> np.ndarray:
    world = points[["x", "y", "z"]].to_numpy() * TO_LPS
    return (np.column_stack([world, np.ones(len(world))]) @ np.linalg.inv(GRID).T)[:, :3]


def test_points_lie_where_the_heart_is(result: Path, tmp_path: Path) -> None:
    main(["export", str(result), "-o", str(tmp_path / "out"), "--to", "guidepoints"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "GPFile_000.txt", "GPFile_001.txt", "SliceInfoFile.txt", "export.json",
    ]  # fmt: skip
    for phase, size in enumerate((1.0, 0.8)):
        points = read(tmp_path / "out" / f"GPFile_{phase:03d}.txt")
        assert list(points.columns) == ["x", "y", "z", "contour type", "frameID", "weight", "time frame"]
        assert set(points["time frame"]) == {phase}
        kinds = points["contour type"]
        assert set(kinds) == {
            "SAX_LV_ENDOCARDIAL", "SAX_LV_EPICARDIAL", "SAX_RV_SEPTUM", "SAX_RV_FREEWALL", "RV_INSERT", "MITRAL_VALVE",
            "TRICUSPID_VALVE", "APEX_POINT",
        }  # fmt: skip
        for kind, centre, radius in (
            ("SAX_LV_ENDOCARDIAL", LV, RADIUS * size),
            ("SAX_LV_EPICARDIAL", LV, RADIUS + WALL),
            ("SAX_RV_FREEWALL", RV, 12.0),
            ("MITRAL_VALVE", LV, RADIUS * size),
        ):
            at = voxels(points[kinds == kind])
            away = np.hypot(*(at[:, :2] - centre).T) - radius * (1 - at[:, 2] / 40)
            assert np.abs(away).max() < 1.0, kind
        np.testing.assert_allclose(voxels(points[kinds == "MITRAL_VALVE"])[:, 2], 2, atol=1e-3)
        assert np.allclose(voxels(points[kinds == "APEX_POINT"])[0], [*LV, 34], atol=0.5)
        septum, free = (voxels(points[kinds == kind]) for kind in ("SAX_RV_SEPTUM", "SAX_RV_FREEWALL"))
        assert septum[:, 0].mean() < free[:, 0].mean()
        inserts = points[kinds == "RV_INSERT"].groupby("frameID").size()
        assert set(inserts) == {2}


def test_slices_lie_where_their_points_do(result: Path, tmp_path: Path) -> None:
    out = export_guidepoints(result, tmp_path / "out", phase="ED")
    assert not (out / "GPFile_001.txt").exists()
    points = read(out / "GPFile_000.txt")
    lines = [re.split(r"\s+", line) for line in (out / "SliceInfoFile.txt").read_text().splitlines()]
    assert len(lines) == 7
    for line in lines:
        number = int(line[line.index("sliceID:") + 1])
        at = {
            name: line.index(name) + 1 for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
        }
        corner, axes, spacing = (
            np.array(line[at[name] : at[name] + count], dtype=float)
            for name, count in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2))
        )
        np.testing.assert_allclose(spacing, 1.5, atol=1e-4)
        drawn = points[(points["frameID"] == number) & points["contour type"].str.startswith("SAX")]
        away = (drawn[["x", "y", "z"]].to_numpy() - corner) @ np.cross(axes[:3], axes[3:])
        assert np.abs(away).max(initial=0) < 1e-3
    assert {int(n) for n in points["frameID"]} <= set(range(1, 8))


def test_what_cannot_be_written_is_a_sentence(result: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of ED, ES or all"):
        export_guidepoints(result, tmp_path / "out", phase="3")
    write_nifti(result / "labels.nii.gz", Volume(np.zeros_like(heart()), GRID))
    with pytest.raises(InputError, match="has no heart"):
        export_guidepoints(result, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_rv_alone_and_an_lv_alone_have_contours() -> None:
    picture = np.zeros((40, 40), np.uint8)
    picture[5:15, 5:15] = 3
    assert [contour.kind for contour in slice_contours(picture, (1.5, 1.5))] == ["SAX_RV_FREEWALL"]
    picture[:] = 0
    picture[5:15, 5:15] = 2
    assert [contour.kind for contour in slice_contours(picture, (1.5, 1.5))] == ["SAX_LV_EPICARDIAL"]
    picture[:] = 0
    picture[5, 5] = 1
    assert slice_contours(picture, (1.5, 1.5)) == []
