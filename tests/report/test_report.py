"""The report: what it shows, what it flags, and that nothing from a header gets through."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from dmcvr.errors import InputError
from dmcvr.fill.engine import Engine
from dmcvr.io.result import Result
from dmcvr.phantom import Phantom
from dmcvr.reconstruction import Reconstruction, reconstruct
from dmcvr.report import page
from dmcvr.report.curve import curve
from dmcvr.report.numbers import lines
from dmcvr.report.page import report_html, rewrite_report
from dmcvr.report.scene import Scene, make_scene
from dmcvr.report.stills import cuts, relief
from dmcvr.report.surfaces import surface
from dmcvr.report.volumes import viewer_sets

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def heart(phantom: Phantom, engine: Engine) -> Reconstruction:
    return reconstruct(phantom.stack, method="linear", spacing_mm=2.5, engine=engine)


@pytest.fixture(scope="module")
def result(heart: Reconstruction) -> Result:
    return Result.of(heart)


@pytest.fixture(scope="module")
def scene(result: Result) -> Scene:
    return make_scene(result)


def test_the_display_is_upright(scene: Scene) -> None:
    """RV on the left of the picture (+x), base on top (+z), right-handed; nothing of the heart is cropped."""
    left, right = (np.argwhere(scene.labels[0] == label).mean(axis=0) for label in (1, 3))
    assert right[0] > left[0] + 10
    area = (scene.labels[0] == 2).sum(axis=(0, 1))
    inside = np.flatnonzero(area)
    third = len(inside) // 3
    assert area[inside[-third:]].sum() > area[inside[:third]].sum()
    assert np.all(np.diff(scene.heights_mm) > 0)


def test_cropping_keeps_every_labelled_voxel(scene: Scene, result: Result) -> None:
    for label in (1, 2, 3):
        assert (scene.labels == label).sum() == (result.labels.data == label).sum()
    assert scene.image.shape[1:] < result.image.data.shape[1:]


def test_acquired_slices_lie_where_the_dense_ones_do(phantom: Phantom, engine: Engine) -> None:
    """At the input's own pixels, a linear method's slices at acquired positions are the acquired ones."""
    heart = reconstruct(phantom.stack.select_phases([0]), method="nearest", engine=engine)
    scene = make_scene(Result.of(heart))
    slabs = scene.as_acquired
    assert slabs is not None
    z = int(np.flatnonzero(scene.measured)[4])
    inner = (slice(8, -8), slice(8, -8))
    a, b = slabs[0][..., z][inner], scene.image[0][..., z][inner]
    clipped = np.clip(a, b.min(), b.max())
    assert np.corrcoef(clipped.ravel(), b.ravel())[0, 1] > 0.99


def test_coarser_keeps_place_and_extent(scene: Scene) -> None:
    coarse = scene.coarser(2 * scene.spacing_mm)
    for label in (1, 3):  # the wall is but two such voxels thick
        fine_mm = scene.origin_mm + scene.spacing_mm * np.argwhere(scene.labels[0] == label).mean(axis=0)
        mm = coarse.origin_mm + coarse.spacing_mm * np.argwhere(coarse.labels[0] == label).mean(axis=0)
        np.testing.assert_allclose(mm, fine_mm, atol=1.0)
        volume = (coarse.labels == label).sum() * 8 / (scene.labels == label).sum()
        assert volume == pytest.approx(1, abs=0.15)
    assert scene.within(10**9) is scene
    assert np.prod(scene.within(20_000).image.shape[1:]) < 22_000


def test_embedded_volumes_are_nifti_on_the_same_grid(scene: Scene, result: Result) -> None:
    (part,) = viewer_sets(scene, result.phases, ["ED", "ES"])
    for key in ("image", "labels", "acquired", "between"):
        image = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(part[key])))
        canonical = nib.as_closest_canonical(image)
        assert canonical.shape[:3] == scene.image.shape[1:]
        np.testing.assert_allclose(canonical.affine[:3, 3], scene.origin_mm, atol=1e-3)
        assert image.get_data_dtype() == np.uint8
    labels = nib.as_closest_canonical(nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(part["labels"]))))
    np.testing.assert_array_equal(np.moveaxis(np.asanyarray(labels.dataobj), 3, 0), scene.labels)


def test_a_cine_has_ed_and_es_whole_and_the_rest_coarser(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmcvr.report.volumes.MAX_CINE_VOXELS", 60_000)
    many = scene.phases([0, 1, 1, 0])
    full, cine = viewer_sets(many, ["0", "1", "2", "3"], ["0", "2"])
    assert full["phases"] == ["0", "2"]
    assert full["spacing_mm"] == scene.spacing_mm
    assert cine["phases"] == ["0", "1", "2", "3"]
    assert cine["spacing_mm"] > 1.2 * scene.spacing_mm
    assert any("the beating heart is shown at" in text for text in page.left_out(many, [full, cine], False))


def test_surface_of_a_ball_points_outward(scene: Scene) -> None:
    grid = np.stack(np.meshgrid(*[np.arange(40) - 20] * 3, indexing="ij"), axis=-1)
    labels = (np.linalg.norm(grid, axis=-1) < 12).astype(np.uint8)
    found = surface(labels, replace(scene, spacing_mm=1.5, origin_mm=np.array([5.0, 0, 0])), 1, 2.0)
    assert found is not None
    points, faces = found
    np.testing.assert_allclose(points.mean(axis=0), [35, 30, 30], atol=0.3)
    corners = points[faces]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 18**3, rel=0.08)
    assert surface(labels, scene, 3, 2.0) is None


def test_stills_show_something(scene: Scene) -> None:
    for pictures in cuts(scene).values():
        for uri in pictures.values():
            image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
            assert np.asarray(image).std() > 10
    seen = relief(scene)
    assert seen is not None
    colours = np.asarray(seen)[np.asarray(seen)[..., 3] > 200][:, :3].astype(int)
    assert len(colours) > 0.2 * seen.width * seen.height
    assert (colours[:, 2] > colours[:, 0] + 40).any()  # the RV's blue
    assert relief(replace(scene, labels=np.zeros_like(scene.labels))) is None


def test_every_result_is_checked(heart: Reconstruction) -> None:
    assert len(heart.run["flags"]) == 7
    levels = {flag["name"]: flag["level"] for flag in heart.run["flags"]}
    assert levels["3D against slices: outline"] == "fine"  # linear keeps the slices
    assert levels["Segmenter confidence"] == "unknown"  # the labels were given


def test_curve_and_numbers(result: Result) -> None:
    assert curve(result.measures, ["ED", "ES"]) is None
    volumes = {str(n): {"lv_cavity_ml": v, "lv_mass_g": 1.0, "rv_cavity_ml": 90.0} for n, v in enumerate((120, 60, 90))}
    measures = {"dense_volume": {"phases": volumes}, "ed_phase": "0", "es_phase": "1"}
    drawn = curve(measures, ["0", "1", "2"])
    assert drawn is not None
    assert (drawn.ed, drawn.es) == (0, 1)
    assert drawn.points["lv"][0][1] < drawn.points["lv"][1][1]
    timed = curve(measures | {"volume_time": {"times_ms": [0, 100, 400]}}, ["0", "1", "2"])
    assert timed is not None
    assert timed.x[1] - timed.x[0] < (timed.x[2] - timed.x[1]) / 2
    normal = {"name": "LV ejection fraction", "value": 20.0, "unit": "%", "low": 51, "high": 71, "sex": "F"}
    found = lines(result.measures | {"reference": [normal | {"source": "someone", "z": -8}]})
    ejection = next(line for line in found if line.name == "LV ejection fraction")
    assert ejection.range == "women 51–71 %"
    assert ejection.outside == "below"


def test_nothing_gets_through_unescaped(result: Result) -> None:
    """A script in any text of the records stays text, in the page and in its data."""
    poisoned = replace(
        result,
        run=result.run | {"warnings": [SCRIPT], "phases": [SCRIPT, "ES"], "method": SCRIPT},
        measures=json.loads(json.dumps(result.measures).replace('"ED"', json.dumps(SCRIPT))),
    )
    text = report_html(poisoned)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    opened = re.findall(r"<script[^>]*>", text)
    assert len(opened) == text.count("</script>")


def test_without_the_viewer_there_are_still_pictures(
    result: Result, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(page, "VIEWER", tmp_path)
    text = report_html(result)
    assert "still pictures only" in text
    assert text.count("data:image/png;base64,") >= 4
    assert len(text) < 3_000_000


def test_rebuilt_from_the_folder(heart: Reconstruction, tmp_path: Path) -> None:
    folder = heart.save(tmp_path / "out")
    first = (folder / "report.html").read_text(encoding="utf-8")
    (folder / "report.html").unlink()
    assert rewrite_report(folder) == folder / "report.html"
    again = (folder / "report.html").read_text(encoding="utf-8")
    assert len(again) == pytest.approx(len(first), rel=0.02)
    assert not list(folder.glob(".report*"))
    with pytest.raises(InputError, match="no result of dmcvr reconstruct"):
        rewrite_report(tmp_path)
    (folder / "measures.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        rewrite_report(folder)


def test_notebook(heart: Reconstruction) -> None:
    fragment = heart._repr_html_()
    assert fragment.count("<img") == 3
    assert "LV ejection fraction" in fragment
    assert "not a medical device" in fragment
