"""Long-axis views with outlines: the reconstruction's are the heart that the view shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.svg import grey_of, opened, paths

from dmcvr.fill.engine import Engine
from dmcvr.phantom import Phantom, Scan, make_phantom
from dmcvr.quality.metrics import dice
from dmcvr.reconstruction import reconstruct
from dmcvr.report import views
from dmcvr.report.scene import Scene, make_scene
from dmcvr.report.views import as_slices, long_axis


@pytest.fixture(scope="module")
def exam() -> Phantom:
    return make_phantom(3, Scan(long_axis=True, spacing_mm=10, shift_mm=0.0))


@pytest.fixture(scope="module")
def seen(exam: Phantom, engine: Engine) -> Scene:
    return make_scene(reconstruct(exam.stack, method="shape", spacing_mm=3.5, engine=engine, align_slices="off"))


def test_outlines_lie_on_the_heart_that_the_view_shows(exam: Phantom, seen: Scene) -> None:
    for view in exam.views[:2]:
        assert view.labels is not None
        cut = views._cut(view, seen, 0, "")
        for label in (1, 2, 3):
            if (view.labels == label).sum() > 300:
                assert dice(cut.after == label, view.labels == label) > 0.75, (view.name, label)
        assert 0.6 < dice(cut.before > 0, cut.after > 0) < 0.99


def test_every_plane_has_its_phases_on_one_crop(exam: Phantom, seen: Scene) -> None:
    planes = long_axis(exam.views, seen, [(0, "ED", "ED"), (1, "ES", "ES")])
    assert [plane.name for plane in planes] == list(dict.fromkeys(view.name for view in exam.views))
    for plane in planes:
        ed, es = plane.pairs
        assert {(f.width, f.height) for pair in (ed, es) for f in (pair.before, pair.after)} == {
            (ed.after.width, ed.after.height)
        }
        assert ed.after.caption == f"{plane.name} view, ED: reconstructed"
        assert len(paths(opened(ed.after))) >= 2
        assert grey_of(ed.after).std() > 10
    assert long_axis(exam.views, seen, [(0, "7", "phase 7")]) == []
    far = [replace(view, affine=view.affine + np.array([[0, 0, 0, 500.0]] * 3 + [[0] * 4])) for view in exam.views]
    assert long_axis(far, seen, [(0, "ED", "ED")]) == []


def test_before_is_the_slices_out_of_place_as_they_were(seen: Scene) -> None:
    """A point one millimetre above slice 2, whose heart lay 4 mm along x: its label is that of 4 mm less."""
    shifts = np.zeros_like(seen.shifts_mm)
    shifts[2, 0] = 4.0
    scene = replace(seen, shifts_mm=shifts)
    at = (scene.heights_mm[2] - scene.origin_mm[2]) / scene.spacing_mm
    point = np.array([[20.0, 15.0, at + 1.0 / scene.spacing_mm]])
    np.testing.assert_allclose(as_slices(scene, point), [[20.0 - 4.0 / scene.spacing_mm, 15.0, at]])
