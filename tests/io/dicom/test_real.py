"""A real cine under the headers of other scanners, archives and anonymisers: 12 slices x 20 phases in each.

The normal run tries every third; `pytest -m slow -n0 tests/io/dicom/test_real.py` tries the others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import mutations
from helpers.mutations import PHASES, SLICES, Cine, Mutation

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.io.dicom.headers import scan
from dmcvr.io.dicom.runs import find_runs
from dmcvr.io.dicom.stacks import find_stacks
from dmcvr.io.dicom.views import find_long_axis
from dmcvr.io.read import find_exam

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


@pytest.fixture(scope="module")
def cine(data: Path) -> Cine:
    found = mutations.read_cine(data / "sunnybrook" / "SCD0000101_dicom")
    return mutations.cropped(found, 96)


@pytest.fixture(scope="module")
def truth(cine: Cine) -> np.ndarray:
    """(P, N, I, J) grey values as they are."""
    found = np.empty((PHASES, SLICES, 96, 96), dtype=np.float32)
    for picture in cine:
        found[picture.phase, picture.slice] = mutations.pixels(picture).T
    return found


def variants(table: dict[str, object]) -> list[object]:
    """Every third in the normal run, all of them in the slow one: each writes and reads 240 files and more."""
    return [name if n % 3 == 0 else pytest.param(name, marks=pytest.mark.slow) for n, name in enumerate(table)]


def read(cine: Cine, mutation: Mutation, folder: Path, series: str | None = None) -> SliceStack:
    mutations.write_cine(mutation(mutations.copied(cine)), folder)
    return find_exam(folder, layout="dicom", series=series).read()


@pytest.mark.parametrize("name", variants(mutations.TIMES))
def test_every_picture_is_found_at_its_place_and_time(name: str, cine: Cine, truth: np.ndarray, tmp_path: Path) -> None:
    stack = read(cine, mutations.TIMES[name], tmp_path)
    np.testing.assert_array_equal(stack.images, truth)
    if stack.times_ms is None:
        assert any("no trigger times" in warning for warning in stack.warnings)
    else:
        assert 700 < stack.times_ms[-1] - stack.times_ms[0] < 760
        assert 0 <= stack.times_ms[0] < 40


@pytest.mark.parametrize("name", variants(mutations.TAKES))
def test_one_whole_take_is_used_and_said(name: str, cine: Cine, truth: np.ndarray, tmp_path: Path) -> None:
    mutation, take = mutations.TAKES[name]
    stack = read(cine, mutation, tmp_path)
    assert stack.images.shape[:2] == (PHASES, SLICES)
    higher = stack.images - truth
    assert set(np.unique(higher)) <= {0.0, 7.0}  # every picture at its place and time, of one take or the other
    used = higher[:, :, 0, 0] == 7
    assert all(len(set(used[:, n])) == 1 for n in range(SLICES))  # no slice is woven of two
    twice = [n for n in range(SLICES) if n == 4 or (n == 9 and "two slices" in name) or "heartbeats" in name]
    assert [bool(used[0, n]) for n in twice] == [bool(take)] * len(twice)
    assert used[0].sum() == take * len(twice)
    if name != "every file there twice":
        assert any(word in " ".join(stack.warnings) for word in ("twice", "2 heartbeats", "was used"))


@pytest.mark.parametrize("name", variants(mutations.PLANS))
def test_slices_that_differ_are_kept_or_named(name: str, cine: Cine, truth: np.ndarray, tmp_path: Path) -> None:
    mutation, kept = mutations.PLANS[name]
    stack = read(cine, mutation, tmp_path)
    assert stack.images.shape[:2] == (PHASES, kept)
    assert stack.source is not None
    assert len(stack.source.left_out) == SLICES - kept
    assert all("So the" in sentence for sentence in stack.source.left_out)
    if "series" not in name or "tilted" in name:
        assert stack.warnings
    np.testing.assert_allclose(np.ptp(stack.positions_mm), 110, atol=11 * (SLICES - kept) + 0.4)
    if kept == SLICES and stack.images.shape == truth.shape:
        inner = (..., slice(16, -16), slice(16, -16))
        # a tilt of the common normal may turn which end comes first
        away = min(np.abs(images[inner] - truth[inner]).mean() for images in (stack.images, stack.images[:, ::-1]))
        assert away < 0.04 * truth[inner].mean()  # what resampling and the nearest phase cost


@pytest.mark.parametrize("name", variants(mutations.STACKS))
def test_of_two_stacks_one_is_taken_and_the_other_is_named(name: str, cine: Cine, tmp_path: Path) -> None:
    mutation, slices, other, others = mutations.STACKS[name]
    stack = read(cine, mutation, tmp_path)
    assert stack.images.shape[:2] == (PHASES, slices)
    assert stack.source is not None
    assert any("2 short-axis stacks" in warning and "--series" in warning for warning in stack.warnings)
    assert [choice.taken for choice in stack.source.choices] == [True, False]
    second = find_exam(tmp_path, layout="dicom", series=other).read()
    assert second.images.shape[:2] == (PHASES, others)
    both = [s.images[:, -1, 0, 0] for s in (stack, second)]
    assert abs(float((both[0] - both[1]).mean())) == 7  # they are of two takes, neither woven of both
    with pytest.raises(InputError, match="no series 77"):
        find_exam(tmp_path, layout="dicom", series="77")


@pytest.mark.parametrize("name", variants(mutations.WORDS))
def test_a_cine_is_one_whatever_its_name(name: str, cine: Cine, truth: np.ndarray, tmp_path: Path) -> None:
    stack = read(cine, mutations.WORDS[name], tmp_path)
    np.testing.assert_array_equal(stack.images, truth)


@pytest.mark.parametrize("name", variants(mutations.GEOMETRY))
def test_geometry_that_no_heart_fits(name: str, cine: Cine, truth: np.ndarray, tmp_path: Path) -> None:
    mutation, slices = mutations.GEOMETRY[name]
    if slices is None:
        with pytest.raises(InputError, match=r"No heart fits|no short-axis stack"):
            read(cine, mutation, tmp_path)
        return
    stack = read(cine, mutation, tmp_path)
    assert (stack.spacing_mm, *stack.pixel_mm) == pytest.approx((10, 1.367188, 1.367188), abs=0.01)
    assert stack.thickness_mm == pytest.approx(10, abs=0.01)
    assert stack.warnings
    assert np.array_equal(np.sort(stack.images[0, :, 40, 40]), np.sort(truth[0, :, 40, 40]))


@pytest.mark.parametrize("first", [0, 0x00080016, 0x00080060, 0x00100010, 0x00180015])
@pytest.mark.parametrize("encoding", ["implicit", "explicit", "big endian"])
def test_bare_data_sets(first: int, encoding: str, cine: Cine, truth: np.ndarray, tmp_path: Path) -> None:
    few = [picture for picture in cine if picture.slice < 4]
    mutations.without_meta(few, tmp_path, implicit=encoding == "implicit", big=encoding == "big endian", first=first)
    np.testing.assert_array_equal(find_exam(tmp_path).read().images, truth[:, :4])


def test_a_dicomdir_or_one_picture_stands_for_its_folder(cine: Cine, truth: np.ndarray, tmp_path: Path) -> None:
    few = [picture for picture in cine if picture.slice < 4]
    mutations.write_cine(few, tmp_path / "exam")
    start = b"\0" * 128 + b"DICM"
    (tmp_path / "exam" / "DICOMDIR").write_bytes(start + (tmp_path / "exam" / few[0].name).read_bytes()[132:400])
    for name in ("DICOMDIR", few[5].name):
        stack = find_exam(tmp_path / "exam" / name).read()
        np.testing.assert_array_equal(stack.images, truth[:, :4])
        assert "folder" in stack.warnings[0]
    mutations.write_cine(few[:1], tmp_path / "alone")
    with pytest.raises(InputError, match="give the folder of the exam"):
        find_exam(tmp_path / "alone" / few[0].name)


def test_long_axis_views_are_known_by_their_planes(data: Path) -> None:
    exam = data / "bivme_exam"
    runs, _ = find_runs(scan(exam)[0])
    normal = find_stacks([run for run in runs if run.is_cine])[0].grid.normal
    views = find_long_axis(runs, normal)
    kinds = [view.view for view in views]
    assert kinds == ["4-chamber", "3-chamber", "2-chamber", "2-chamber", "RVOT"]  # the second is described as 4CH
    assert all(len(view.frames) == 25 and view.times_ms is not None for view in views)
    pieces = find_exam(exam).source.pieces
    assert [piece.view for piece in pieces if piece.kind == "long axis cine"] == kinds
