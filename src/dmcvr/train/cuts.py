"""Long-axis views to learn from: cut through phantoms, and through stacks of patients with labels.

Each view comes with its labels and with a prior: what a completed reconstruction, made from a clinical stack of that
heart, would say there. The stack of the prior is made bad in the ways that stacks are: wide gaps, breath-holds,
borders that are off, a first slice whose atrium was taken for a ventricle or whose ventricle was missed, ends that
were not acquired. So a network learns to believe the prior in so far as the picture agrees.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage

from dmcvr.anatomy.complete import Anatomy
from dmcvr.errors import InputError
from dmcvr.fill.method import Acquired
from dmcvr.fill.plain import Shape
from dmcvr.fill.registration import Registration
from dmcvr.geometry.long_axis import PIXEL_MM, Upright, normalised, sampled
from dmcvr.geometry.plan import Plan
from dmcvr.labels.components import keep_one_heart
from dmcvr.labels.distances import scores_of, signed_distances
from dmcvr.labels.segment import Segment
from dmcvr.phantom.body import make_body
from dmcvr.phantom.frame import Grid, HeartFrame, axis_samples
from dmcvr.phantom.heart import IN_TURN, Heart
from dmcvr.phantom.render import render
from dmcvr.phantom.scan import with_noise
from dmcvr.phantom.shape import HeartShape
from dmcvr.phantom.tissue import MRI, Tissues
from dmcvr.phantom.views import view_planes
from dmcvr.train.data import TrainingSet
from dmcvr.train.inputs import CUTTING, code_version, differences
from dmcvr.train.pairs import kept

#: Side of a stored view in pixels of 1.5 mm: room to turn and shift it.
CANVAS = 176

#: The label of what nobody knows.
UNKNOWN = 4

#: Seeds of the phantoms to learn from and to look at, which no other phantom has; phases of each.
TO_LEARN, TO_LOOK_AT = range(5_000_000, 5_000_108), range(5_000_108, 5_000_120)
PHASES = 3

#: Times that each phase is planned by a technologist of its own; views of a patient's phase; one patient's phase in so
#: many is cut.
PLANNINGS, CUTS, EVERY = 2, 6, 3

#: Step (mm) of what is cut: phantoms, and reconstructions along the stack.
FINE_MM, STEP_MM = 2.0, 1.5

#: A view's plane lies this far (SD) from where a technologist would put it.
OFF_DEG, OFF_MM = 5.0, 2.0

Labels = NDArray[np.uint8]
Affine = NDArray[np.float64]


@dataclass(frozen=True)
class CutSet:
    """M views, upright, on a canvas.

    ======  =========  =======================================================================================
    images  (M, C, C)  float16 in [-1, 1]
    labels  (M, C, C)  uint8, ours; `UNKNOWN` where nobody knows
    priors  (M, C, C)  uint8, what a reconstruction from the short axis alone says
    slices  text       the training set that some were cut from (`TrainingSet.sha256`)
    code    text       the version that cut them
    ======  =========  =======================================================================================
    """

    images: NDArray[np.float16]
    labels: Labels
    priors: Labels
    slices: str
    code: str

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, data: TrainingSet, *, phantoms: range) -> CutSet:
        """Cut phantoms with these seeds, and one in `EVERY` of the training set's stacks; minutes on a laptop."""
        names = np.stack([data.patients, data.phases])
        which = np.unique(names, axis=1, return_inverse=True)[1].ravel()
        stacks = [data_of(data, np.flatnonzero(which == n)) for n in range(0, which.max() + 1, EVERY)]
        jobs = [*((_of_phantom, seed) for seed in phantoms), *((_of_stack, stack) for stack in stacks if stack.whole)]
        with ProcessPoolExecutor() as pool:
            parts = list(track(pool.map(_run, jobs, chunksize=2), "cutting views", total=len(jobs)))
        images, labels, priors = (np.stack(arrays) for arrays in zip(*chain(*parts), strict=True))
        return cls(images.astype(np.float16), labels, priors, data.sha256, code_version(CUTTING))

    @property
    def of_patients(self) -> NDArray[np.bool_]:
        """(M,) whether a view was cut through a patient's stack: what lies beyond that is unknown."""
        return np.asarray((self.labels == UNKNOWN).any(axis=(1, 2)))

    def save(self, path: Path) -> None:
        partial = path.with_name(f".{path.name}.partial.npz")
        np.savez_compressed(partial, **{f.name: np.asarray(getattr(self, f.name)) for f in fields(self)})  # type: ignore[arg-type]
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> CutSet:
        try:
            with np.load(path, allow_pickle=False) as archive:
                images, labels, priors = (archive[name] for name in ("images", "labels", "priors"))
                return cls(images, labels, priors, str(archive["slices"]), str(archive["code"]))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path} is not a set of cut views: remove it, it is made again.") from error


def cut(data: TrainingSet, path: Path, *, phantoms: range) -> CutSet:
    """The views of these stacks and phantoms, cut once and kept in the file; raises `InputError` for another's."""
    if not path.is_file():
        CutSet.of(data, phantoms=phantoms).save(path)
    cuts = CutSet.load(path)
    before = {"slices_sha256": cuts.slices, "code": cuts.code}
    if changed := differences(before, {"slices_sha256": data.sha256, "code": code_version(CUTTING)}):
        raise InputError(
            f"The views in {path} were cut with other {changed} than this training has: remove the file, and they are "
            "cut again."
        )
    return cuts


@dataclass(frozen=True)
class StackData:
    """One phase of a patient: slices (N, S, S) with labels, at (N,) rising positions in mm; `seed` of its cuts."""

    images: NDArray[np.float32]
    labels: Labels
    positions_mm: NDArray[np.float64]
    whole: bool
    seed: int


def data_of(data: TrainingSet, index: NDArray[np.intp]) -> StackData:
    labels = kept(data.labels[index])
    rings = np.any(labels == 1, axis=(1, 2)) & np.any(labels == 2, axis=(1, 2))
    whole = bool((data.known[index] == 7).all() and rings.sum() >= 4 and np.any(labels == 3))
    images = np.clip(kept(data.images[index]).astype(np.float32), -1, 1)
    return StackData(images, labels, data.positions[index], whole, int(index[0]))


Cut = tuple[NDArray[np.float16], Labels, Labels]


def _run(job: tuple[object, object]) -> list[Cut]:
    function, argument = job
    return list(function(argument))  # type: ignore[operator]


def _of_phantom(seed: int) -> Iterator[Cut]:
    """Views of a heart with tissues of its own, in two phases."""
    rng = np.random.default_rng(seed)
    heart = Heart.random(rng, IN_TURN[seed % len(IN_TURN)])
    frame = HeartFrame.random(rng)
    x, y = (axis_samples(c, 128, FINE_MM) for c in rng.uniform((-12, 5), (4, 25)))
    grid = Grid(x, y, axis_samples(20, 116, FINE_MM))
    relaxed = heart.at(0.0)
    scene = make_body(rng, grid, frame, relaxed.apices["lv_epicardium"], _random_tissues(rng))
    volume = np.diag([FINE_MM, FINE_MM, FINE_MM, 1.0])
    volume[:3, 3] = x[0], y[0], grid.z[0]
    for phase in range(PHASES):
        contraction = float(rng.uniform(*((0, 0.2), (0.7, 1), (0, 1))[phase]))
        shape = heart.at(contraction, opening=float(rng.uniform(0, 1) * (phase != 1)))
        picture = render(shape, scene)
        prior, at, middle, to_right = _prior_of_shape(shape, rng)
        for plane in chain(*(_planes(relaxed, frame, rng) for _ in range(PLANNINGS))):
            view = Upright.of(plane, np.array([0.0, 0.0, 1.0]), middle, to_right, side=CANVAS)
            if view is None:
                continue
            offs = (np.array([-2.0, 0.0, 2.0]) if rng.random() < 0.8 else np.zeros(1)).tolist()
            image = np.mean([sampled(picture, volume, view.points(o), mode="nearest") for o in offs], axis=0)
            image = with_noise(image.astype(np.float32), float(rng.uniform(0, 0.05)), rng)
            a, b, c = (p[..., None].astype(np.float32) for p in view.points())
            labels = shape.labels(a, b, c)[..., 0]
            yield normalised(image).astype(np.float16), labels, _nearest(prior, at, view)


def _random_tissues(rng: np.random.Generator) -> Tissues:
    """Brightness as other scanners may show it."""
    bright = {
        name: float(getattr(MRI, name) * rng.uniform(0.7, 1.3)) for name in ("muscle", "liver", "stomach", "spine")
    }
    return replace(
        MRI,
        fat=float(rng.uniform(0.3, 1.0)),
        heart_fat=float(rng.uniform(0.3, 0.95)),
        lung=float(rng.uniform(0.02, 0.15)),
        myocardium=float(rng.uniform(0.15, 0.42)),
        blood=float(rng.uniform(0.65, 0.95)),
        right_blood=float(rng.uniform(0.6, 0.95)),
        outline=float(rng.uniform(0.3, 1)),
        **bright,
    )


def _planes(shape: HeartShape, frame: HeartFrame, rng: np.random.Generator) -> Iterator[Affine]:
    """The usual views, moved and turned, and one at any angle."""
    for plane in view_planes(shape, frame, rng):
        yield _moved(plane.affine, rng)
    x, y = shape.centre(np.array([40.0], dtype=np.float32))
    yield _moved(_around(np.array([x[0], y[0], 40.0]), float(rng.uniform(0, np.pi))), rng)


def _around(point: NDArray[np.float64], angle: float) -> Affine:
    """A plane along the stack's normal through a point."""
    plane = np.eye(4)
    plane[:3, 0] = np.cos(angle), np.sin(angle), 0
    plane[:3, 1] = 0, 0, 1
    plane[:3, 3] = point
    return plane


def _moved(plane: Affine, rng: np.random.Generator) -> Affine:
    """Off where it should be, in angle and place; around its own middle."""
    normal = np.cross(plane[:3, 0], plane[:3, 1])
    normal /= np.linalg.norm(normal)
    axis = rng.standard_normal(3)
    axis /= np.linalg.norm(axis)
    angle = np.deg2rad(OFF_DEG) * rng.standard_normal()
    turned = normal * np.cos(angle) + np.cross(axis, normal) * np.sin(angle)
    first = plane[:3, 0] - (plane[:3, 0] @ turned) * turned / (turned @ turned)
    second = np.cross(turned, first)
    out = plane.copy()
    out[:3, 0], out[:3, 1] = first / np.linalg.norm(first), second / np.linalg.norm(second)
    # Turned about the point of the plane that is nearest to the heart, not about its corner.
    about = np.array([0.0, 0.0, 40.0])
    about = about - ((about - plane[:3, 3]) @ normal) * normal
    out[:3, 3] = about + OFF_MM * rng.standard_normal() * turned / np.linalg.norm(turned)
    return out


def _prior_of_shape(
    shape: HeartShape, rng: np.random.Generator
) -> tuple[Labels, Affine, NDArray[np.float64], NDArray[np.float64]]:
    """What a reconstruction of a clinical stack says, as labels (S, S, K) and their place; middle and way to the RV."""
    spacing = float(rng.choice([8.0, 9.0, 10.0, 10.0, 12.0, 18.0]))
    first = shape.base_mm - float(rng.uniform(-0.2, 1.3)) * spacing
    last = shape.apex_z_mm + float(rng.uniform(-0.8, 1.0)) * spacing
    positions = np.arange(first, last, spacing, dtype=np.float64)
    x = axis_samples(-10.0, 128, PIXEL_MM)
    y = axis_samples(5.0, 128, PIXEL_MM)
    labels = shape.labels(x[None, :, None], y[None, None, :], positions.astype(np.float32)[:, None, None])
    start = np.array([float(x[0]), float(y[0])])
    return _prior(labels, positions, start, rng)


def _prior(
    labels: Labels, positions: NDArray[np.float64], start: NDArray[np.float64], rng: np.random.Generator
) -> tuple[Labels, Affine, NDArray[np.float64], NDArray[np.float64]]:
    bad = _bad(labels, rng)
    dense, heights = _filled(bad, positions)
    affine = np.diag([PIXEL_MM, PIXEL_MM, STEP_MM, 1.0])
    affine[:3, 3] = *start, heights[0]
    volume = np.moveaxis(dense, 0, 2)
    middle, left, right = (
        (affine @ [*np.argwhere(mask).mean(axis=0), 1.0])[:3]
        for mask in (volume > 0, (volume == 1) | (volume == 2), volume == 3)
    )
    return volume, affine, middle, right - left


def _bad(labels: Labels, rng: np.random.Generator) -> Labels:
    """Slices (N, S, S) in as many breath-holds, with borders that are off, and a base that was misread."""
    parts = signed_distances(labels)
    off = rng.normal(0, 0.5, (len(labels), 3, 1, 1)) + rng.normal(0, 0.3, (1, 3, 1, 1))
    waves = ndimage.gaussian_filter(rng.standard_normal(parts.shape), (0, 0, 8, 8))
    parts = parts + (off + waves / waves.std() * 0.5).astype(np.float32)
    parts[:, 1] = np.minimum(parts[:, 1], parts[:, 0])
    parts[:, 0] = np.maximum(parts[:, 0], parts[:, 1] + 1)
    parts[:, 2] = np.maximum(parts[:, 2], -parts[:, 1])
    shift = rng.normal(0, float(rng.choice([0.0, 1.0])), (len(labels), 2))
    moved = [ndimage.shift(part, (0, *by), order=1, mode="nearest") for part, by in zip(parts, shift, strict=True)]
    found = scores_of(np.stack(moved)).argmax(axis=1).astype(np.uint8)
    there = np.stack([np.any(labels == c, axis=(1, 2)) for c in range(4)], axis=1)
    for c in (1, 2, 3):
        found[~there[:, c]] = np.where(found[~there[:, c]] == c, 0, found[~there[:, c]])
    seen = np.flatnonzero(there[:, 2])
    if len(seen) < 4:
        return found
    widest = seen[0] if np.count_nonzero(found[seen[0]]) > np.count_nonzero(found[seen[-1]]) else seen[-1]
    inner = seen[1] if widest == seen[0] else seen[-2]
    beyond = widest + (widest - inner)
    chance = rng.random(3)
    if chance[0] < 0.2 and 0 <= beyond < len(labels):  # the atrium was taken for the ventricle
        found[beyond] = found[widest]
    elif chance[0] > 0.85:  # the first slice was missed, or a part of it
        found[widest] = 0 if chance[1] < 0.5 else np.where(found[widest] == 3, 0, found[widest])
    if chance[2] < 0.1:
        found[widest] = np.where(found[widest] == 3, 0, found[widest])
    return found


def _filled(labels: Labels, positions: NDArray[np.float64]) -> tuple[Labels, NDArray[np.float64]]:
    """(K, S, S) labels every 1.5 mm, completed, and their positions (K,)."""
    anatomy = Anatomy.of(labels[None], positions, PIXEL_MM)
    low, high = anatomy.reach_mm or (float(positions[0]), float(positions[-1]))
    heights = np.arange(min(low, positions[0]) - 3, max(high, positions[-1]) + 3, STEP_MM)
    filled = Shape(_no_segmenter)(_given(labels), Plan.between(positions, heights))
    scores = anatomy.complete(filled.scores, heights, 0).scores
    return keep_one_heart(scores.argmax(axis=1).astype(np.uint8)), heights


def _given(labels: Labels, images: NDArray[np.float32] | None = None) -> Acquired:
    pictures = np.zeros(labels.shape, np.float32) if images is None else images
    return Acquired(pictures, labels, labels_given=True)


def _no_segmenter(images: NDArray[np.float32]) -> NDArray[np.float32]:
    raise AssertionError("labels are given")


def _nearest(volume: Labels, affine: Affine, view: Upright) -> Labels:
    return sampled(volume, affine, view.points(), order=0).astype(np.uint8)


def _of_stack(stack: StackData) -> Iterator[Cut]:
    """Views of a patient's phase at any angle around its left ventricle's axis."""
    rng = np.random.default_rng(TO_LEARN.start + stack.seed)
    positions = stack.positions_mm - stack.positions_mm.mean()
    heights = np.arange(positions[0], positions[-1], STEP_MM)
    segment: Segment = _no_segmenter
    filled = Registration(segment, align="labels")(_given(stack.labels, stack.images), Plan.between(positions, heights))
    labels = keep_one_heart(filled.scores.argmax(axis=1).astype(np.uint8))
    anatomy = Anatomy.of(stack.labels[None], positions, PIXEL_MM)
    known = _known(stack.labels, labels, positions, heights)
    affine = np.diag([PIXEL_MM, PIXEL_MM, STEP_MM, 1.0])
    affine[:3, 3] = 0, 0, heights[0]
    image, truth = np.moveaxis(filled.images, 0, 2), np.moveaxis(np.where(known, labels, UNKNOWN), 0, 2)
    # A prior from every second slice shows more of what a prior gets wrong.
    few = slice(int(rng.integers(2)), None, 2) if rng.random() < 0.35 and len(positions) > 9 else slice(None)
    prior, at, middle, to_right = _prior(stack.labels[few], positions[few], np.zeros(2), rng)
    for angle in np.pi * (np.arange(CUTS) + rng.random()) / CUTS:
        plane = _around(middle, float(angle))
        plane[:3, 3] += rng.normal(0, 4, 3)
        view = Upright.of(plane, np.array([0.0, 0.0, float(anatomy.sign)]), middle, to_right, side=CANVAS)
        assert view is not None
        picture = sampled(image, affine, view.points(), mode="nearest")
        found = sampled(truth, affine, view.points(), order=0)
        inside = sampled(np.ones_like(truth), affine, view.points(), order=0) > 0
        known_there = np.where(inside, found, UNKNOWN).astype(np.uint8)
        yield normalised(picture).astype(np.float16), known_there, _nearest(prior, at, view)


def _known(
    acquired: Labels, labels: Labels, positions: NDArray[np.float64], heights: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(K, S, S) where the slices say what is there: not near the heart in a gap in which a structure ends."""
    there = np.stack([np.any(acquired == c, axis=(1, 2)) for c in (1, 2, 3)], axis=1)
    ends = np.any(there[1:] != there[:-1], axis=1)
    gap = np.clip(np.searchsorted(positions, heights, side="right") - 1, 0, len(positions) - 2)
    near = np.abs(heights[:, None] - positions).min(axis=1) < 0.8
    heart = ndimage.binary_dilation(np.any(labels > 0, axis=0), iterations=6)
    return ~((ends[gap] & ~near)[:, None, None] & heart)
