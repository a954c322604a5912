"""Contours that readers drew, as labels of the pictures they were drawn on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import dicoms
from helpers.niftis import grey, save
from skimage.measure import find_contours

from dmcvr.errors import InputError
from dmcvr.exam.stack import SliceStack
from dmcvr.io.contours import fill, inside, is_contours, with_contours
from dmcvr.io.outlines import ENDOCARDIUM, EPICARDIUM, RV_ENDOCARDIUM, Outline
from dmcvr.io.read import read_exam

NAMES = {1: "saendocardialContour", 2: "saepicardialContour", 3: "sarvendocardialContour"}
KINDS = {1: "i", 2: "o"}


def heart(size: tuple[int, int], radius: float) -> np.ndarray:
    """(I, J) labels: a ring, and an RV at its side."""
    i, j = np.mgrid[: size[0], : size[1]]
    to_lv, to_rv = np.hypot(i - 8, j - 11), np.hypot(i - 15, j - 11)
    labels = np.zeros(size, np.uint8)
    labels[to_rv < 4] = 3
    labels[to_lv < radius + 2] = 2
    labels[to_lv < radius] = 1
    return labels


def drawn(labels: np.ndarray) -> dict[int, np.ndarray]:
    """By structure, its contour (column, row)."""
    masks = {1: labels == 1, 2: (labels == 1) | (labels == 2), 3: labels == 3}
    return {
        label: max(find_contours(np.pad(mask, 1).astype(float), 0.5), key=len) - 1
        for label, mask in masks.items()
        if mask.any()
    }


def item(key: str, inner: str) -> str:
    return f'<Hash:item Hash:key="{key}">{inner}</Hash:item>'


def workspace(path: Path, contours: dict[str, dict[str, np.ndarray]], subpixel: int = 4) -> Path:
    pictures = ""
    for uid, named in contours.items():
        inner = ""
        for name, points in named.items():
            listed = "".join(
                f"<List:item><Point:x>{x}</Point:x><Point:y>{y}</Point:y></List:item>"
                for x, y in np.rint(points * subpixel).astype(int)
            )
            inner += item(name, item("Points", listed) + item("SubpixelResolution", str(subpixel)))
        pictures += item(uid, item("Contours", inner))
    spaces = " ".join(f'xmlns:{n}="http://www.circlecvi.com/cvi42/Workspace/{n}/"' for n in ("Hash", "List", "Point"))
    states = item("StudyMapStates", "<List:item>" + item("ImageStates", pictures) + "</List:item>")
    path.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n<Workspace {spaces}>{states}</Workspace>')
    return path


@pytest.fixture
def cine(tmp_path: Path) -> SliceStack:
    folder = tmp_path / "dicom"
    for n, path in enumerate(dicoms.cine(folder)):
        import pydicom

        dataset = pydicom.dcmread(path)
        dataset.InstanceNumber = n + 1
        dataset.save_as(path)
    return read_exam(folder)


def truth(
    cine: SliceStack, phases: dict[int, float], slices: tuple[int, ...] = (0, 1, 2)
) -> dict[tuple[int, int], np.ndarray]:
    size = cine.images.shape[2:]
    return {(p, n): heart((size[0], size[1]), radius) for p, radius in phases.items() for n in slices}


def as_workspace(path: Path, cine: SliceStack, labels: dict[tuple[int, int], np.ndarray]) -> Path:
    assert cine.pictures is not None
    return workspace(
        path,
        {cine.pictures[p][n].uid: {NAMES[k]: c for k, c in drawn(one).items()} for (p, n), one in labels.items()},
    )


def as_texts(folder: Path, cine: SliceStack, labels: dict[tuple[int, int], np.ndarray]) -> Path:
    assert cine.pictures is not None
    folder.mkdir(parents=True, exist_ok=True)
    for (p, n), picture in labels.items():
        for label, points in drawn(picture).items():
            if label in KINDS:
                name = f"IM-0001-{cine.pictures[p][n].number:04d}-{KINDS[label]}contour-manual.txt"
                (folder / name).write_text("".join(f"{x:.2f} {y:.2f}\n" for x, y in points))
    return folder


def test_a_pixel_belongs_where_its_centre_lies() -> None:
    square = np.array([[1.6, 2.5], [4.4, 2.5], [4.4, 3.5], [1.6, 3.5]])
    found = inside(square, (8, 7))
    assert sorted(map(tuple, np.argwhere(found))) == [(2, 3), (3, 3), (4, 3)]
    assert not inside(square + 50, (8, 7)).any()
    assert inside(square - 2, (8, 7)).sum() == 3  # (0, 1), (1, 1), (2, 1)


def test_structures_lie_over_one_another() -> None:
    def box(low: float, high: float) -> np.ndarray:
        return np.array([[low, low], [high, low], [high, high], [low, high]])

    outlines = [
        Outline(RV_ENDOCARDIUM, box(-0.5, 5.5)),
        Outline(EPICARDIUM, box(1.5, 7.5)),
        Outline(ENDOCARDIUM, box(3.5, 5.5)),
    ]
    labels = fill(outlines, (9, 9))
    assert [int((labels == n).sum()) for n in (1, 2, 3)] == [4, 36 - 4, 36 - 16]


def test_a_workspace_gives_back_the_labels_it_was_drawn_from(tmp_path: Path, cine: SliceStack) -> None:
    labels = truth(cine, {4: 4.0, 1: 3.0})
    path = as_workspace(tmp_path / "x.cvi42wsx", cine, labels)
    assert is_contours(path)
    stack = with_contours(cine, path)
    assert stack.phases == ("ES", "ED")
    assert stack.labels is not None
    for p, phase in enumerate((1, 4)):
        np.testing.assert_array_equal(stack.images[p], cine.images[phase])
        for n in range(3):
            np.testing.assert_array_equal(stack.labels[p, n], labels[phase, n])
        assert not stack.labels[p, 3].any()
    assert "phase 1 (ES), 4 (ED): those were taken, of 6" in stack.warnings[-1]


def test_text_files_give_back_the_lv(tmp_path: Path, cine: SliceStack) -> None:
    labels = truth(cine, {4: 4.0, 1: 3.0})
    folder = as_texts(tmp_path / "SC" / "contours-manual" / "IRCCI-expert", cine, labels)
    (folder / "IM-0001-0003-p1contour-manual.txt").write_text("1 1\n2 2\n3 1\n")
    assert is_contours(tmp_path / "SC")
    stack = with_contours(cine, tmp_path / "SC")
    assert stack.labels is not None
    lv = np.where(labels[4, 0] == 3, 0, labels[4, 0])
    np.testing.assert_array_equal(stack.labels[1, 0], lv)
    assert any("RV endocardium in phase 4: its RV cavity is not known" in warning for warning in stack.warnings)
    assert "1 contours of papillary muscles were passed over." in stack.warnings


def test_contours_name_the_pictures_of_dicom(tmp_path: Path, cine: SliceStack) -> None:
    path = as_workspace(tmp_path / "x.cvi42wsx", cine, truth(cine, {1: 3.0}))
    with pytest.raises(InputError, match="this exam has none"):
        with_contours(read_exam(save(tmp_path / "x.nii", grey(24, 20, 4))), path)
    other = tmp_path / "other"
    dicoms.cine(other)
    with pytest.raises(InputError, match="None of the 3 pictures"):
        with_contours(read_exam(other), path)
    assert with_contours(cine.select_phases([1, 2]), path).phases == ("1",)
    with pytest.raises(InputError, match="None of the 3 pictures"):
        with_contours(cine.select_phases([2]), path)


def test_a_slice_left_out_between_others_is_said(tmp_path: Path, cine: SliceStack) -> None:
    path = as_workspace(tmp_path / "x.cvi42wsx", cine, truth(cine, {1: 3.0}, (0, 1, 3)))
    with pytest.raises(InputError, match="no contour in slice 3 of phase 1"):
        with_contours(cine, path)
    labels = truth(cine, {1: 3.0}) | truth(cine, {4: 4.0}, (1,))
    stack = with_contours(cine, as_workspace(tmp_path / "x.cvi42wsx", cine, labels))
    assert stack.phases == ("1",)
    assert "Phase 4 has contours in a few slices only: left out." in stack.warnings


def test_open_contours_are_closed_and_others_passed_over(tmp_path: Path, cine: SliceStack) -> None:
    assert cine.pictures is not None
    square = np.array([[2, 2], [9, 2], [9, 9], [2, 9]]) + 0.25
    named = {"saendocardialOpenContour": square, "sapapilMuscContour": square, "laendocardialContour": square}
    path = workspace(tmp_path / "x", {picture.uid: named for picture in cine.pictures[0]})
    stack = with_contours(cine, path)
    assert stack.labels is not None
    assert int((stack.labels == 1).sum()) == 4 * 49
    assert {
        "4 contours of papillary muscles were passed over.",
        "4 contours of other structures were passed over.",
    } <= set(stack.warnings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<Hash:a xmlns:Hash='x'>", "damaged; export it again"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><Hash:a xmlns:Hash='x'>&b;</Hash:a>", "defines entities"),
        ("<a xmlns:Hash='circlecvi.com'/>", "no short-axis contour"),
    ],
)
def test_a_workspace_that_is_none_is_a_sentence(tmp_path: Path, cine: SliceStack, text: str, said: str) -> None:
    (tmp_path / "x.cvi42wsx").write_text(text)
    with pytest.raises(InputError, match=said):
        with_contours(cine, tmp_path / "x.cvi42wsx")


@pytest.mark.parametrize(
    "text",
    ["", "1 2\n3 4\n", "1 2\n3 4\nfive six\n", "1 2 3\n4 5 6\n7 8 9\n", "1 2\nnan 4\n5 6\n", "1 2\n1e9 4\n5 6\n"],
)
def test_a_contour_that_is_none_is_a_sentence(tmp_path: Path, cine: SliceStack, text: str) -> None:
    (tmp_path / "IM-0001-0003-icontour-manual.txt").write_text(text)
    with pytest.raises(InputError, match="IM-0001-0003-icontour-manual.txt is damaged"):
        with_contours(cine, tmp_path)


def test_the_contour_of_one_picture_of_sunnybrook(data: Path) -> None:
    """Labels that were made from the public contours, drawn around and filled again, are the same."""
    folder = data / "sunnybrook"
    labelled = read_exam(folder, labels=True)
    assert labelled.labels is not None
    for picture in labelled.labels.reshape(-1, *labelled.labels.shape[2:]):
        structures = {1: ENDOCARDIUM, 2: EPICARDIUM, 3: RV_ENDOCARDIUM}
        outlines = [Outline(structures[label], points) for label, points in drawn(picture).items()]
        if not (picture == 2).any():
            outlines = [outline for outline in outlines if outline.structure != EPICARDIUM]
        np.testing.assert_array_equal(fill(outlines, picture.shape), picture)


def test_labels_in_takes_contours_and_images(tmp_path: Path, cine: SliceStack) -> None:
    from dmcvr.options import Options
    from dmcvr.reconstruction import load

    path = as_workspace(tmp_path / "x.cvi42wsx", cine, truth(cine, {4: 4.0, 1: 3.0}))
    assert load(cine, Options(labels_in=path)).phases == ("ES", "ED")
    assert load(cine, Options(labels_in=path, phase="4")).phases == ("4",)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is a folder; expected an image file"):
        load(cine, Options(labels_in=tmp_path / "empty"))
