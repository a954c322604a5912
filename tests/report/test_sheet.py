"""The contact sheet: all slices, contours where the scanner has the hearts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from helpers.svg import corners, grey_of, opened, paths

from dmcvr.report.scene import Scene
from dmcvr.report.sheet import contact_sheets


def test_every_slice_is_there_from_base_to_apex(scene: Scene) -> None:
    assert scene.acquired is not None
    ed, es = contact_sheets(scene, [(0, "ED"), (1, "ES")])
    assert (ed.phase, es.phase) == ("ED", "ES")
    assert len(ed.slices) == len(scene.heights_mm)
    assert ed.slices[0].caption == f"slice {scene.numbers[-1]} · 0 mm"
    assert grey_of(ed.slices[3]).shape == tuple(2 * n for n in scene.acquired.shape[:1:-1])
    assert any("LV cavity, LV myocardium, RV cavity" in slice_.alt for slice_ in ed.slices)
    assert contact_sheets(replace(scene, acquired=None), [(0, "ED")]) == []


def test_contours_lie_where_the_slice_was(scene: Scene) -> None:
    """A slice whose heart lay 5 mm towards the RV (to the picture's left) and 10 mm up has its contours there."""
    at = int(np.argmax([(scene.labels[0][..., z] == 1).sum() for z in range(scene.labels.shape[3])]))
    n = int(np.abs(scene.heights_mm - scene.voxel_heights_mm[at]).argmin())
    shifts = np.zeros_like(scene.shifts_mm)
    shifts[n] = 5.0, 10.0
    place = len(scene.heights_mm) - 1 - n
    still, moved = (
        contact_sheets(replace(scene, shifts_mm=value), [(0, "ED")])[0].slices[place]
        for value in (np.zeros_like(shifts), shifts)
    )
    before, after = (corners(paths(opened(figure))[0]) for figure in (still, moved))
    step = np.array([-5.0, -10.0]) / scene.spacing_mm
    np.testing.assert_allclose(after - before, np.tile(step, (len(before), 1)), atol=0.11)
