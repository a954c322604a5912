"""Contours that a reader drew on pictures, as labels: Sunnybrook's text files and cvi42's workspaces.

Points are (column, row) with whole numbers at the pixels' centres, counted from 0, as the public readers of both
formats take them. A pixel belongs to a structure where its centre lies within the contour: the LV cavity lies within
the endocardium, the LV myocardium between it and the epicardium, the RV cavity within the RV's endocardium and outside
the LV's epicardium. Papillary muscles count as cavity, and contours of them are passed over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from numpy.typing import NDArray

from dmcvr.errors import InputError
from dmcvr.exam.stack import Picture, SliceStack
from dmcvr.io.cvi42 import read_workspace
from dmcvr.io.ircci import contour_files, read_contour_files
from dmcvr.io.outlines import ENDOCARDIUM, EPICARDIUM, RV_ENDOCARDIUM, Drawn, Outline
from dmcvr.io.sniff import kind_of

#: A phase is labelled where it has at least this share of the contoured slices that the best one has.
ENOUGH = 0.5

#: A picture lies in a slice's plane where its corners are this near to it.
IN_PLANE_MM = 3.0


@dataclass(frozen=True)
class Matched:
    """Contours by phase and slice of a stack, and how many pictures that were drawn on are not in it."""

    outlines: dict[tuple[int, int], list[Outline]]
    elsewhere: int


def is_contours(path: Path) -> bool:
    """Whether a path is a cvi42 workspace, a contour file of Sunnybrook, or a folder of those."""
    return bool(contour_files(path)) or (path.is_file() and kind_of(path) == "cvi42")


def with_contours(stack: SliceStack, path: Path) -> SliceStack:
    """The phases of the stack that were drawn on, with their labels; what was drawn, and what not, is a warning.

    The stack is one of DICOM: contours name their pictures. Raises `InputError` where none of them is in the stack,
    where one name stands for several pictures, and where a slice between contoured ones has none.
    """
    if stack.pictures is None:
        raise InputError(
            f"{path.name} holds contours, which name the DICOM pictures that they were drawn on, and this exam has "
            "none: give the folder of DICOM, or labels as an image."
        )
    drawn = read_workspace(path) if path.is_file() and kind_of(path) == "cvi42" else read_contour_files(path)
    matched = _match(drawn, stack.pictures, path.name)
    phases = _labelled_phases(matched, stack, path.name)
    chosen = stack.select_phases(phases)
    labels = np.zeros(chosen.images.shape, dtype=np.uint8)
    size = chosen.images.shape[2:]
    for p, phase in enumerate(phases):
        for n, picture in enumerate(stack.pictures[phase]):
            outlines = matched.outlines.get((phase, n), [])
            labels[p, n] = fill(_in_slice(outlines, picture, stack.affines[n]), size)
    names = _names([stack.phases[phase] for phase in phases], labels)
    notes = _notes(matched, drawn, stack, phases, names)
    return replace(chosen, labels=labels, phases=names, warnings=(*chosen.warnings, *notes))


def _names(phases: list[str], labels: UInt8[np.ndarray, "P N I J"]) -> tuple[str, ...]:
    """Of two phases, that with the larger LV cavity is ED and the other ES: those are what readers draw; else as is."""
    cavities = [int(np.count_nonzero(phase == 1)) for phase in labels]
    if len(phases) != 2 or min(cavities) == 0 or cavities[0] == cavities[1]:
        return tuple(phases)
    return ("ED", "ES") if cavities[0] > cavities[1] else ("ES", "ED")


def fill(outlines: list[Outline], shape: tuple[int, ...]) -> UInt8[np.ndarray, "I J"]:
    """The package's labels (I, J), columns and rows, of one picture's contours."""
    within = {
        structure: _union(
            [inside(outline.points, shape) for outline in outlines if outline.structure == structure], shape
        )
        for structure in (ENDOCARDIUM, EPICARDIUM, RV_ENDOCARDIUM)
    }
    labels = np.zeros(shape, dtype=np.uint8)
    labels[within[RV_ENDOCARDIUM]] = 3
    labels[within[EPICARDIUM]] = 2
    labels[within[ENDOCARDIUM]] = 1
    return labels


def inside(points: Float64[np.ndarray, "N 2"], shape: tuple[int, ...]) -> Bool[np.ndarray, "I J"]:
    """Which pixels' centres lie within a closed polygon (even-odd)."""
    from skimage.measure import points_in_poly

    found = np.zeros(shape, dtype=bool)
    low = np.clip(np.floor(points.min(axis=0)), 0, np.array(shape)).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 1, 0, np.array(shape)).astype(int)
    if (high <= low).any():
        return found
    grid = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]), indexing="ij"), axis=-1)
    within = points_in_poly(grid.reshape(-1, 2).astype(float), points)
    found[low[0] : high[0], low[1] : high[1]] = np.asarray(within).reshape(grid.shape[:2])
    return found


def _union(masks: list[NDArray[np.bool_]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.logical_or.reduce(masks) if masks else np.zeros(shape, dtype=bool)


def _match(drawn: Drawn, pictures: tuple[tuple[Picture, ...], ...], name: str) -> Matched:
    """The contours of the stack's pictures, by UID or instance number."""
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for phase, row in enumerate(pictures):
        for n, picture in enumerate(row):
            places[picture.uid if drawn.by_uid else str(picture.number)].append((phase, n))
    found: dict[tuple[int, int], list[Outline]] = {}
    for key, outlines in drawn.outlines.items():
        where = places.get(key, [])
        if len(where) > 1:
            raise InputError(
                f"Contours in {name} name a picture that stands {len(where)} times in the exam: give the folder of "
                "the one series that they were drawn on."
            )
        if where:
            found[where[0]] = outlines
    if not found:
        raise InputError(
            f"None of the {len(drawn.outlines)} pictures that {name} has contours of is in this exam's short-axis "
            "stack: give the DICOM that they were drawn on."
        )
    return Matched(found, len(drawn.outlines) - len(found))


def _labelled_phases(matched: Matched, stack: SliceStack, name: str) -> list[int]:
    """The phases with contours in enough slices, none left out between."""
    slices: dict[int, list[int]] = defaultdict(list)
    for phase, n in sorted(matched.outlines):
        slices[phase].append(n)
    most = max(len(found) for found in slices.values())
    phases = [phase for phase, found in slices.items() if len(found) >= ENOUGH * most]
    for phase in phases:
        gaps = sorted(set(range(slices[phase][0], slices[phase][-1])) - set(slices[phase]))
        if gaps:
            raise InputError(
                f"{name} has no contour in slice {gaps[0] + 1} of phase {stack.phases[phase]}, between slices that "
                "have: draw it, or take another phase with --phase."
            )
    return sorted(phases)


def _in_slice(outlines: list[Outline], picture: Picture, affine: Float64[np.ndarray, "4 4"]) -> list[Outline]:
    """Contours in pixels of the stack's slice, which need not be the picture: it may have been resampled to it."""
    if np.allclose(picture.affine[:3, [0, 1, 3]], affine[:3, [0, 1, 3]], atol=1e-4):
        return outlines
    plane = affine.copy()
    plane[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1])
    plane[:3, 2] /= np.linalg.norm(plane[:3, 2])
    change = np.linalg.inv(plane) @ picture.affine
    moved = []
    for outline in outlines:
        count = len(outline.points)
        world = np.column_stack([outline.points, np.zeros(count), np.ones(count)]) @ change.T
        if np.abs(world[:, 2]).max() <= IN_PLANE_MM:
            moved.append(replace(outline, points=world[:, :2]))
    return moved


def _notes(matched: Matched, drawn: Drawn, stack: SliceStack, phases: list[int], names: tuple[str, ...]) -> list[str]:
    """What the contours leave out, a sentence each."""
    notes = []
    if len(phases) < len(stack.phases):
        numbers = [stack.phases[phase] for phase in phases]
        said = [number if name == number else f"{number} ({name})" for number, name in zip(numbers, names, strict=True)]
        notes.append(f"Contours are drawn in phase {', '.join(said)}: those were taken, of {len(stack.phases)}.")
    few = {phase for phase, _ in matched.outlines} - set(phases)
    if few:
        left = ", ".join(stack.phases[phase] for phase in sorted(few))
        notes.append(f"Phase {left} has contours in a few slices only: left out.")
    for phase in phases:
        kinds = Counter(
            outline.structure for (p, _), found in matched.outlines.items() if p == phase for outline in found
        )
        for structure, loss in (
            (ENDOCARDIUM, "its LV cavity is"),
            (EPICARDIUM, "its LV myocardium is"),
            (RV_ENDOCARDIUM, "its RV cavity is"),
        ):
            if not kinds[structure]:
                notes.append(
                    f"No contour of the {structure} in phase {stack.phases[phase]}: {loss} not known, not 0 mL."
                )
    if matched.elsewhere:
        notes.append(f"Contours of {matched.elsewhere} pictures that are not in the stack were left out.")
    notes += [f"{count} contours of {what} were passed over." for what, count in drawn.ignored.items()]
    return notes
