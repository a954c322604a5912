"""Long-axis cines beside a short-axis one: matched in the heartbeat, or left out with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from helpers import dicoms
from pydicom.uid import generate_uid

from dmcvr.cli.main import main
from dmcvr.exam.view import View
from dmcvr.io.exam import Exam
from dmcvr.io.read import find_exam

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def short_axis(folder: Path, phases: int = 6) -> None:
    dicoms.cine(folder, series=generate_uid(), number=5, phases=phases)


def long_axis(folder: Path, *, number: int = 6, phases: int = 6, rr_ms: float = 800.0, **values: Any) -> list[Path]:
    """A 4-chamber cine through the short-axis slices, in a breath-hold with another heart rate."""
    written = dicoms.cine(
        folder, series=generate_uid(), number=number, axes=dicoms.LONG_AXIS, places_mm=[0], phases=phases,
        description="cine 4ch", NominalInterval=rr_ms,
    )  # fmt: skip
    for path in written:
        picture = pydicom.dcmread(path)
        picture.TriggerTime = f"{float(picture.TriggerTime) * rr_ms / 800:.3f}"
        for name, value in values.items():
            setattr(picture, name, value)
        picture.save_as(path)
    return written


def views_of(exam: Exam, phase: str | None = None) -> tuple[tuple[View, ...], list[str]]:
    stack, notes = exam.read(), list[str]()
    chosen = stack if phase is None else stack.select_phases([stack.phase_index(phase)])
    return exam.views(chosen, notes), [*notes, *stack.warnings]


@pytest.mark.parametrize(
    ("own", "rr_ms", "shown"),
    [
        (6, 800.0, [0, 1, 2, 3, 4, 5]),
        (6, 1100.0, [0, 1, 2, 3, 4, 5]),  # a slower heart: the same shares of the beat
        (12, 900.0, [0, 2, 4, 6, 8, 10]),
        (5, 700.0, [0, 1, 2, 2, 3, 4]),  # of two as near, the earlier
    ],
)
def test_phases_match_by_their_share_of_the_beat(own: int, rr_ms: float, shown: list[int], tmp_path: Path) -> None:
    short_axis(tmp_path)
    long_axis(tmp_path, phases=own, rr_ms=rr_ms)
    exam = find_exam(tmp_path)
    views, notes = views_of(exam)
    assert notes == []
    assert [(view.name, view.series, view.phase) for view in views] == [("4-chamber", "6", str(p)) for p in range(6)]
    for view, frame in zip(views, shown, strict=True):
        away = [abs(float((view.image - dicoms.picture(0, k).T).mean())) for k in range(own)]
        assert away[frame] == 0 or (own == 5 and view.phase == "3" and min(away) == 0)
    one, _ = views_of(exam, "4")
    np.testing.assert_array_equal([view.image for view in one], [views[4].image])


def test_pixels_lie_where_the_header_puts_them(tmp_path: Path) -> None:
    """Rows and columns of 1.25 and 1.5 mm from the corner, LPS to RAS+."""
    short_axis(tmp_path)
    long_axis(tmp_path)
    views, _ = views_of(find_exam(tmp_path))
    row, column = np.reshape(dicoms.LONG_AXIS, (2, 3))
    there = (np.array(dicoms.CORNER) + row * 1.25 * 3 + column * 1.5 * 7) * (-1, -1, 1)
    np.testing.assert_allclose((views[0].affine @ [3, 7, 0, 1])[:3], there, atol=1e-3)
    assert views[0].thickness_mm == 8


def test_two_of_one_kind_have_two_names(tmp_path: Path) -> None:
    short_axis(tmp_path)
    for number in (6, 9):
        long_axis(tmp_path, number=number)
    views, _ = views_of(find_exam(tmp_path), "0")
    assert [(view.name, view.series) for view in views] == [("4-chamber", "6"), ("4-chamber-2", "9")]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"FrameOfReferenceUID": generate_uid(prefix=None)}, "in another frame of reference"),
        ({"ImagePositionPatient": [400.0, 0.0, 0.0]}, "wholly beside the short-axis stack"),
        ({"SeriesDescription": "tagging 4ch"}, "reads as tagging"),
        ({"PixelSpacing": [0.2, 0.2]}, "no heart fits its pixels"),
    ],
)
def test_a_view_that_cannot_be_compared_is_left_out(
    values: dict[str, Any], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short_axis(tmp_path)
    long_axis(tmp_path, **values)
    exam = find_exam(tmp_path)
    views, notes = views_of(exam)
    assert views == ()
    assert any(why in note and "series 6 was left out" in note for note in notes)
    assert [piece.matched for piece in exam.source.pieces if piece.series == "6"] == [0]
    main(["inspect", str(tmp_path)])
    assert why in " ".join(capsys.readouterr().out.split())


def test_pictures_of_one_beat_at_two_places_are_no_view(tmp_path: Path) -> None:
    short_axis(tmp_path)
    written = long_axis(tmp_path)
    for path in written[3:]:
        picture = pydicom.dcmread(path)
        picture.ImagePositionPatient = list(np.array(picture.ImagePositionPatient) + 4 * np.array(dicoms.LONG_AXIS[3:]))
        picture.save_as(path)
    views, notes = views_of(find_exam(tmp_path))
    assert views == ()
    assert any("pictures of one heartbeat at different places" in note for note in notes)


def test_a_view_with_damaged_pixels_leaves_the_exam_whole(tmp_path: Path) -> None:
    short_axis(tmp_path)
    picture = pydicom.dcmread(path := long_axis(tmp_path)[2])
    picture.PixelData = picture.PixelData[:100]
    picture.save_as(path)
    views, notes = views_of(find_exam(tmp_path))
    assert views == ()
    assert len(notes) == 1
    assert "The long-axis view 4-chamber (series 6) was left out: The pixels" in notes[0]


def test_phases_that_contours_name_anew_keep_their_views(tmp_path: Path) -> None:
    from dataclasses import replace

    short_axis(tmp_path)
    long_axis(tmp_path)
    exam = find_exam(tmp_path)
    stack = exam.read()
    named = replace(stack.select_phases([4, 1]), phases=("ED", "ES"))
    views = exam.views(named)
    assert [view.phase for view in views] == ["ED", "ES"]
    whole = exam.views(stack)
    for view, phase in zip(views, (4, 1), strict=True):
        np.testing.assert_array_equal(view.image, whole[phase].image)


def test_a_real_exam(data: Path) -> None:
    exam = find_exam(data / "bivme_exam")
    assert [piece.matched for piece in exam.source.pieces if piece.view] == [25] * 5
    assert [plane.name for plane in exam.long_axis] == ["4-chamber", "3-chamber", "2-chamber", "2-chamber-2", "RVOT"]
    assert "as long-axis views, 5 pieces" in exam.source.summary()
