"""Long-axis views in image files beside a stack: which frame shows which phase, and where it lies."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from dmcvr.cli.main import main
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.view import View
from dmcvr.io.read import find_exam
from dmcvr.phantom import Phantom, write_phantom

#: Short axis along z; a long axis that crosses it, and one that lies in its planes.
SHORT = np.diag([1.5, 1.5, 8, 1])
LONG = np.array([[1.5, 0, 0, 0], [0, 0, 6, 12], [0, 1.5, 0, -4], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def folder(viewed: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantoms") / "p"
    write_phantom(viewed, path)
    return path


def save(path: Path, *shape: int, affine: np.ndarray = SHORT, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).integers(0, 900, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


@pytest.mark.parametrize("given", ["", "p_4d.nii.gz", "p_frame01.nii.gz", "zip"])
def test_a_phantom_on_disk_gives_its_views(given: str, viewed: Phantom, folder: Path, tmp_path: Path) -> None:
    path = folder / given if given != "zip" else tmp_path / "p.zip"
    if given == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for part in folder.iterdir():
                file.write(part, part.name)
    exam = find_exam(path)
    stack = exam.read()
    notes: list[str] = []
    views = exam.views(stack, notes)
    assert notes == []
    numbers = {phase: n for n, phase in enumerate(viewed.stack.phases)} | {"ED": viewed.ed, "ES": viewed.es}
    truth = {(view.name, view.phase): view for view in viewed.views}
    assert [(view.name, view.phase) for view in views] == [
        (name, phase) for name in ("2-chamber", "3-chamber", "4-chamber", "RVOT") for phase in stack.phases
    ]
    for view in views:
        own = truth[view.name, viewed.stack.phases[numbers[view.phase]]]
        np.testing.assert_allclose(view.image, own.image)
        np.testing.assert_allclose(view.affine[:, [0, 1, 3]], own.affine[:, [0, 1, 3]], atol=1e-3)
        assert view.thickness_mm == pytest.approx(6.0)
        assert view.labels is None
    found = [piece.matched for piece in exam.source.pieces if piece.view]
    assert found == [len(stack.phases)] * 4
    assert exam.views(stack.select_phases([0]))[0].phase == stack.phases[0]


def test_mnms2_goes_by_names(tmp_path: Path) -> None:
    for phase in ("ED", "ES"):
        save(tmp_path / f"001_SA_{phase}.nii.gz", 20, 18, 4)
    save(tmp_path / "001_LA_ED.nii.gz", 20, 18, 1, affine=LONG, seed=1)
    exam = find_exam(tmp_path)
    (view,) = exam.views(exam.read())
    assert (view.name, view.phase) == ("4-chamber", "ED")
    stored = nib.load(tmp_path / "001_LA_ED.nii.gz").get_fdata()[..., 0]
    np.testing.assert_array_equal(view.image, stored)
    assert exam.views(exam.read().select_phases([1])) == ()


def test_views_of_a_real_exam_lie_where_its_slices_show_the_same(data: Path) -> None:
    exam = find_exam(data / "mnms2")
    stack = exam.read()
    views = exam.views(stack)
    assert [(view.name, view.phase) for view in views] == [("4-chamber", "ED"), ("4-chamber", "ES")]
    for view in views:
        there = agreement(view, stack)
        assert there > 0.6
        assert all(agreement(view, stack, along_mm=step) < there - 0.1 for step in (-15, 15))


def agreement(view: View, stack: SliceStack, along_mm: float = 0.0) -> float:
    """Correlation of grey values along the lines that the middle slices share with a view, in the picture's middle."""
    i, j = np.meshgrid(*(np.arange(n) for n in view.image.shape), indexing="ij")
    world = np.einsum("ab,bij->aij", view.affine[:3, :2], np.stack([i, j])) + view.affine[:3, 3, None, None]
    world = world + along_mm * (view.affine[:3, 0] / np.linalg.norm(view.affine[:3, 0]))[:, None, None]
    heights = np.einsum("a,aij->ij", stack.normal, world)
    phase, ours, theirs = stack.phases.index(view.phase), [], []
    for n in range(1, len(stack.affines) - 1):
        flat = stack.affines[n].copy()
        flat[:3, 2] = stack.normal
        pixels = np.einsum("ab,bij->aij", np.linalg.inv(flat)[:2], np.concatenate([world, np.ones((1, *i.shape))]))
        middle = np.array(stack.images.shape[2:])[:, None, None] / 2
        near = (np.abs(heights - stack.positions_mm[n]) < 1) & (np.abs(pixels - middle) < 40).all(axis=0)
        theirs.append(ndimage.map_coordinates(stack.images[phase, n], pixels[:, near], order=1))
        ours.append(view.image[near])
    return float(np.corrcoef(np.concatenate(ours), np.concatenate(theirs))[0, 1])


def ukbb(root: Path) -> Path:
    """Six short-axis phases, nine of one view, and ED and ES of another; ED is frame 0 and ES frame 4 of the cine."""
    cine = nib.load(save(root / "1" / "sa.nii.gz", 20, 18, 4, 6))
    for phase, frame in (("ED", 0), ("ES", 4)):
        nib.save(nib.Nifti1Image(np.asarray(cine.dataobj)[..., frame], SHORT), root / "1" / f"sa_{phase}.nii.gz")
    save(root / "1" / "la_2ch.nii.gz", 20, 18, 1, 9, affine=LONG, seed=1)
    for phase in ("ED", "ES"):
        save(root / "1" / f"la_4ch_{phase}.nii.gz", 20, 18, 1, affine=LONG, seed=len(phase))
        save(root / "1" / f"seg_la_4ch_{phase}.nii.gz", 20, 18, 1, affine=LONG)
    return root / "1"


def test_ukbb_finds_ed_and_es_in_its_cines(tmp_path: Path) -> None:
    folder = ukbb(tmp_path)
    exam = find_exam(folder)
    views = {(view.name, view.phase): view.image for view in exam.views(exam.read())}
    assert list(views) == [("2-chamber", "ED"), ("2-chamber", "ES"), ("4-chamber", "ED"), ("4-chamber", "ES")]
    two = nib.load(folder / "la_2ch.nii.gz").get_fdata()[:, :, 0]
    np.testing.assert_array_equal(views["2-chamber", "ED"], two[..., 0])
    np.testing.assert_array_equal(views["2-chamber", "ES"], two[..., 6])  # 4/6 of the beat is 6/9
    four = nib.load(folder / "la_4ch_ES.nii.gz").get_fdata()[:, :, 0]
    np.testing.assert_array_equal(views["4-chamber", "ES"], four)

    cine = find_exam(folder / "sa.nii.gz")
    assert cine.source.layout == "ukbb"
    shown = [view.image for view in cine.views(cine.read())]
    for image, frames in zip(shown, ((0,), (1, 2), (3,), (4, 5), (6,), (7, 8)), strict=True):  # the nearest, or either
        assert any(np.array_equal(image, two[..., frame]) for frame in frames)
    assert [piece.matched for piece in cine.source.pieces if piece.view] == [6, 0, 0]

    (folder / "sa.nii.gz").unlink()  # nothing tells where in the beat ES is
    exam = find_exam(folder)
    assert {view.name for view in exam.views(exam.read())} == {"4-chamber"}


def test_what_is_no_view_of_this_heart_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ukbb(tmp_path)
    flat = nib.load(folder / "la_2ch.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(flat.dataobj), SHORT), folder / "la_2ch.nii.gz")
    moved = LONG.copy()
    moved[1, 3] = 500
    save(folder / "la_3ch.nii.gz", 20, 18, 1, 6, affine=moved)
    shutil.copy(folder / "la_4ch_ED.nii.gz", folder / "la_4ch_ES.nii.gz")
    turned = nib.load(folder / "la_4ch_ES.nii.gz")
    aside = LONG.copy()
    aside[0, 3] = 3
    nib.save(nib.Nifti1Image(np.asarray(turned.dataobj), aside), folder / "la_4ch_ES.nii.gz")
    exam = find_exam(folder)
    notes: list[str] = []
    assert exam.views(exam.read(), notes) == ()
    assert notes == [
        "The long-axis view 2-chamber was left out: its plane lies 0 degrees to the short axis.",
        "The long-axis view 3-chamber was left out: it lies wholly beside the short-axis stack.",
        "The long-axis view 4-chamber was left out: its pictures lie at different places.",
    ]
    (folder / "la_2ch.nii.gz").write_bytes(b"damaged")
    exam = find_exam(folder)
    assert exam.read().phases == ("ED", "ES")
    exam.views(exam.read(), notes)
    assert "2-chamber was left out: la_2ch.nii.gz" in notes[3]
    main(["inspect", str(folder)])
    assert "LA 2ch: damaged" in capsys.readouterr().out
