"""Which of a header's geometries is taken, and what no heart fits."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.niftis import OBLIQUE

from dmcvr.errors import InputError
from dmcvr.io.claims import Claims, Frame, phase_times, settle

SHAPE, ZOOMS = (216, 256, 10), (1.25, 1.5, 8.75)
ALIGNED = np.diag([-1.25, -1.5, 8.75, 1.0])
UNIT = np.diag([-1.0, -1.0, 1.0, 1.0])
BROKEN = np.diag([0.0, 0.0, 0.0, 1.0])


def sizes(claims: Claims, **options: bool) -> list[float]:
    place = settle(claims, SHAPE, "x", **options)
    return [round(float(size), 4) for size in np.linalg.norm(place.affine[:3, :3], axis=0)]


@pytest.mark.parametrize(
    ("affine", "zooms", "said"),
    [
        (OBLIQUE, ZOOMS, None),
        (UNIT, ZOOMS, "the zooms were used"),
        (OBLIQUE, (1.0, 1.0, 1.0), "the affine was used"),
        (OBLIQUE, (1.25, 1.5, 1.0), "the affine was used"),
        (OBLIQUE, (0.0, 0.0, 0.0), "the affine was used"),
        (OBLIQUE, (np.nan,) * 3, "the affine was used"),
        (OBLIQUE, (1250.0, 1500.0, 8750.0), "the affine was used"),
        (np.diag([9e3, 9e3, 9e3, 1]), ZOOMS, "the zooms were used"),
    ],
)
def test_the_plausible_spacing_is_taken_and_said(
    affine: np.ndarray, zooms: tuple[float, float, float], said: str | None
) -> None:
    claims = Claims((Frame("sform", affine),), zooms)
    assert sizes(claims) == [1.25, 1.5, 8.75]
    warnings = settle(claims, SHAPE, "x").warnings
    assert len(warnings) == (said is not None)
    assert said is None or said in warnings[0]


def test_of_two_plausible_ones_the_zooms_are_taken() -> None:
    assert sizes(Claims((Frame("sform", OBLIQUE),), (1.4, 1.4, 10.0))) == [1.4, 1.4, 10]


@pytest.mark.parametrize(
    ("frames", "taken", "said"),
    [
        ([("sform", OBLIQUE, True), ("qform", OBLIQUE, True)], OBLIQUE, None),
        ([("sform", ALIGNED, False), ("qform", OBLIQUE, True)], OBLIQUE, "its qform was taken, not its sform"),
        ([("sform", OBLIQUE, True), ("qform", ALIGNED, False)], OBLIQUE, "its sform was taken, not its qform"),
        ([("sform", BROKEN, True), ("qform", OBLIQUE, True)], OBLIQUE, "sform is broken: its qform was taken"),
        ([("sform", np.full((4, 4), np.nan), True), ("qform", OBLIQUE, True)], OBLIQUE, "sform is broken"),
        ([("sform", BROKEN, True)], ALIGNED, "only its voxel sizes were used"),
        ([], ALIGNED, None),
    ],
)
def test_of_frames_that_disagree_the_scanners_is_taken(
    frames: list[tuple[str, np.ndarray, bool]], taken: np.ndarray, said: str | None
) -> None:
    place = settle(Claims(tuple(Frame(*frame) for frame in frames), ZOOMS), SHAPE, "x")
    np.testing.assert_allclose(place.affine, taken, atol=1e-6)
    assert len(place.warnings) == (said is not None)
    assert said is None or said in place.warnings[0]


@pytest.mark.parametrize(("unit", "factor"), [("m", 1000.0), ("cm", 10.0), ("mm", 1.0), ("um", 0.001)])
def test_units_are_honoured(unit: str, factor: float) -> None:
    affine = OBLIQUE.copy()
    affine[:3] /= factor
    zooms = (1.25 / factor, 1.5 / factor, 8.75 / factor)
    place = settle(Claims((Frame("sform", affine),), zooms, unit), SHAPE, "x")
    np.testing.assert_allclose(place.affine, OBLIQUE, atol=1e-9)
    assert place.warnings == ()


@pytest.mark.parametrize("unit", ["m", "um"])
def test_a_unit_that_no_heart_fits_is_not_believed(unit: str) -> None:
    place = settle(Claims((Frame("sform", OBLIQUE),), ZOOMS, unit), SHAPE, "x")
    np.testing.assert_allclose(place.affine, OBLIQUE)
    assert f"lengths are in {unit}, which no heart fits: mm was taken" in place.warnings[0]


@pytest.mark.parametrize(
    ("shape", "zooms", "said"),
    [
        (SHAPE, (0.00125, 0.0015, 0.00875), "if they are in m, multiply them by 1000"),
        (SHAPE, (0.125, 0.15, 0.875), "if they are in cm, multiply them by 10"),
        (SHAPE, (1250, 1500, 8750), "if they are in um, multiply them by 0.001"),
        (SHAPE, (1.25, 1.5, 100), "slices 100 mm apart"),
        ((64, 64, 10), (30, 30, 8), "pixels 30 mm wide"),
        ((64, 200, 10), (5, 1, 8), "nearly square"),
        ((16, 16, 10), (1, 1, 8), "a picture of 16 x 16 mm"),
        ((64, 64, 300), (1.5, 1.5, 8), "300 slices over 2.4e"),
        ((64, 64, 3), (1.5, 1.5, 1), "3 slices over 3 mm"),
        ((25, 128, 128), (1, 1, 1), "slices or time as its first axis"),
        ((25, 128, 128), (40, 1.5, 1.5), "slices or time as its first axis"),
    ],
)
def test_what_no_heart_fits_is_refused(shape: tuple[int, ...], zooms: tuple[float, float, float], said: str) -> None:
    claims = Claims((), zooms)
    with pytest.raises(InputError, match=said.replace(".", r"\.")):
        settle(claims, shape, "x")
    assert settle(claims, shape, "x", whole=False).affine.shape == (4, 4)  # a long-axis view may be anything


def test_slices_are_put_last() -> None:
    assert settle(Claims((), (8, 1.5, 1.5)), (10, 216, 256), "x").order == [1, 2, 0]
    assert settle(Claims((), (1.5, 1.5, 1.5)), (90, 100, 80), "x").order == [0, 1, 2]


@pytest.mark.parametrize(
    ("step", "unit", "last", "said"),
    [
        (0.04, "s", 960.0, None),
        (40.0, "ms", 960.0, None),
        (40000.0, "us", 960.0, None),
        (40.0, "s", 960.0, "40 ms was taken"),
        (7.0, "s", None, "times are not known"),
        (1.0, "s", None, None),
        (40.0, None, None, None),
        (float("nan"), "s", None, None),
    ],
)
def test_times_of_the_phases(step: float, unit: str | None, last: float | None, said: str | None) -> None:
    times, warnings = phase_times(Claims((), ZOOMS, None, step, unit), 25)
    assert (None if times is None else round(times[-1], 6)) == last
    assert len(warnings) == (said is not None)
    assert said is None or said in warnings[0]
