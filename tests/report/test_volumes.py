"""The volumes inside the page: NIfTI again, on one grid."""

from __future__ import annotations

import base64
import gzip
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from dmcvr.reconstruction import Reconstruction
from dmcvr.report import page
from dmcvr.report.scene import Scene
from dmcvr.report.volumes import hatched, viewer_sets


def test_embedded_volumes_are_nifti_on_the_same_grid(scene: Scene, heart: Reconstruction) -> None:
    (part,) = viewer_sets(scene, heart.phases, ["ED", "ES"])
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


def test_what_was_completed_is_hatched_in_bands(scene: Scene, heart: Reconstruction) -> None:
    assert viewer_sets(scene, heart.phases, ["ED", "ES"])[0]["completed"] is None
    whole = replace(scene, completed=scene.labels == 1)
    bands = hatched(whole)
    assert 0.4 < bands.sum() / whole.completed.sum() < 0.6
    assert not bands[~whole.completed].any()
    assert viewer_sets(whole, heart.phases, ["ED", "ES"])[0]["completed"] is not None
