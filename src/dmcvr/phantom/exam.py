"""One synthetic exam, from a seed: what was acquired, and the truth that it was taken from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dmcvr.exam.stack import Patient, SliceStack
from dmcvr.exam.view import View
from dmcvr.exam.volume import Volume
from dmcvr.phantom.body import make_body
from dmcvr.phantom.frame import Grid, HeartFrame, axis_samples
from dmcvr.phantom.heart import CYCLE_MS, IN_TURN, Heart
from dmcvr.phantom.render import render
from dmcvr.phantom.scan import (
    Coil,
    Scan,
    acquire,
    draw_shifts,
    slice_grid,
    slice_labels,
    slice_positions,
    slices_with_heart,
)
from dmcvr.phantom.shape import HeartShape
from dmcvr.phantom.tissue import TISSUES, in_units
from dmcvr.phantom.views import VIEW_THICKNESS_MM, acquire_view, view_labels, view_planes

#: Voxel size of the truth's volumes, the same along all axes.
TRUTH_MM = 1.5

#: Pictures of the long axis need what lies this far above the base and below the apex.
ABOVE_MM, BELOW_MM = 95.0, 50.0


@dataclass(frozen=True)
class Phantom:
    """A synthetic exam and its truth, in one world frame (RAS+ mm).

    ==============  =============================================================================================
    stack           what the scanner gave: images and labels (P, N, I, J); phases ED and ES, or the cycle's
    views           long-axis pictures with labels, one for each plane and phase; empty unless asked for
    truth_image     (P, I', J', K') float32 at 1.5 mm, free of noise, shading and shifts
    truth_labels    (P, I', J', K') uint8 on the same grid: 1 LV cavity, 2 LV myocardium, 3 RV cavity
    heart           what beats, and how
    shapes          P closed-form hearts
    frame           where they lie in the world
    shifts_mm       (N, 2) float64: how far the heart of each slice lies out of its true place, along the slice's first
                    and second pixel axis, by its breath-hold; the same in all phases. The true place is the mean one of
                    the slices that hold ventricle: nobody could know another
    view_shifts_mm  the same, (2,) for each view by name
    seed, scan      what made it
    ==============  =============================================================================================

    Papillary muscles and trabeculae show in the images and count as cavity in the labels. The left cavity ends at the
    mitral and the aortic plane, the right one at the tricuspid and the pulmonary plane; atria and vessels beyond show
    in the images and have no label.
    """

    stack: SliceStack
    views: tuple[View, ...]
    truth_image: Volume
    truth_labels: Volume
    heart: Heart
    shapes: tuple[HeartShape, ...]
    frame: HeartFrame
    shifts_mm: NDArray[np.float64]
    view_shifts_mm: dict[str, NDArray[np.float64]]
    seed: int
    scan: Scan

    @property
    def ed(self) -> int:
        """The phase of end-diastole: the first."""
        return 0

    @property
    def es(self) -> int:
        """The phase of end-systole: the smallest left cavity."""
        return int(np.argmin([shape.lv_cavity_volume_ml() for shape in self.shapes]))

    @property
    def view_thickness_mm(self) -> float:
        """How thick a long-axis view is."""
        return VIEW_THICKNESS_MM

    def labels_on(self, affine: NDArray[np.float64], shape: tuple[int, int, int], phase: int) -> NDArray[np.uint8]:
        """(I, J, K) the exact labels at the voxels of any grid (index to RAS+ mm): no resampling."""
        to_heart = np.linalg.inv(self.frame.affine()) @ affine
        i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
        x, y, z = ((a * i + b * j + c * k + start).astype(np.float32) for a, b, c, start in to_heart[:3])
        return self.shapes[phase].labels(x, y, z)

    def valve_planes(self, phase: int) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Of mitral, aortic, tricuspid and pulmonary valve: its middle (RAS+ mm) and the unit normal out of the
        ventricle."""
        return {
            name: (self.frame.to_world(plane.point), self.frame.turned(plane.normal))
            for name, plane in self.shapes[phase].planes.items()
        }

    def apices(self, phase: int) -> dict[str, NDArray[np.float64]]:
        """The apex (RAS+ mm) of lv_cavity, lv_epicardium and rv_cavity."""
        return {name: self.frame.to_world(point) for name, point in self.shapes[phase].apices.items()}


def make_phantom(seed: int, scan: Scan | None = None) -> Phantom:
    """The exam of this seed: the same seed gives the same anatomy under every scan (default `Scan()`).

    Of six seeds in a row three are normal hearts, one is dilated, one hypertrophic, one has a large right ventricle.
    """
    scan = scan or Scan()
    streams = np.random.SeedSequence(seed).spawn(6)
    anatomy, tissue, motion, coils, noise, planning = (np.random.default_rng(stream) for stream in streams)
    heart = Heart.random(anatomy, IN_TURN[seed % len(IN_TURN)])
    shapes = heart.beat(scan.phases)
    frame = HeartFrame.random(anatomy)
    cx, cy = (float(c) for c in anatomy.uniform((-8, 2), (12, 22)))
    positions = slice_positions(shapes[0], scan, float(anatomy.uniform(0.4, 0.9)))
    patient = _random_patient(anatomy)

    pixels = slice_grid(scan, (cx, cy), positions)
    fine, truth = _grids(scan, (cx, cy), pixels, shapes[0])
    scene = make_body(tissue, fine, frame, shapes[0].apices["lv_epicardium"], TISSUES[scan.modality])
    planes = view_planes(shapes[0], frame, planning) if scan.long_axis else ()
    moved = draw_shifts(motion, scan, slices_with_heart(shapes[0], positions), len(planes))
    shifts = moved[: len(positions)]
    view_shifts = {plane.name: shift for plane, shift in zip(planes, moved[len(positions) :], strict=True)}
    coil = Coil.random(coils, pixels, scan)
    names = ("ED", "ES") if scan.phases == 2 else tuple(str(p) for p in range(scan.phases))

    gain = coil.gain(*(axis.transpose(2, 0, 1) for axis in pixels.mesh()))
    slices, dense, views = [], [], []
    for shape, name in zip(shapes, names, strict=True):
        picture = render(shape, scene)
        slices.append(in_units(acquire(picture, fine, pixels, scan, shifts, noise) * gain, scan.modality))
        dense.append(in_units(picture[:, :, truth], scan.modality))
        for plane in planes:
            shift = view_shifts[plane.name]
            views.append(
                View(
                    plane.name,
                    name,
                    in_units(acquire_view(picture, fine, plane, shift, coil, scan, noise), scan.modality),
                    frame.affine() @ plane.affine,
                    view_labels(shape, plane, shift),
                    VIEW_THICKNESS_MM,
                )
            )
    known = Grid(fine.x, fine.y, fine.z[truth])
    affine = frame.affine(_start(known), (TRUTH_MM,) * 3)
    size = (scan.pixel_mm, scan.pixel_mm, scan.spacing_mm)
    stack = SliceStack(
        images=np.stack(slices),
        affines=np.stack([frame.affine((*_start(pixels)[:2], float(z)), size) for z in positions]),
        thickness_mm=scan.thickness_mm,
        phases=names,
        labels=np.stack([slice_labels(shape, pixels, shifts) for shape in shapes]),
        patient=patient,
        times_ms=None if scan.phases == 2 else tuple(CYCLE_MS * p / scan.phases for p in range(scan.phases)),
    )
    labels = np.stack([_labels(shape, known) for shape in shapes])
    return Phantom(
        stack=stack,
        views=tuple(views),
        truth_image=Volume(np.stack(dense), affine),
        truth_labels=Volume(labels, affine),
        heart=heart,
        shapes=shapes,
        frame=frame,
        shifts_mm=shifts,
        view_shifts_mm=view_shifts,
        seed=seed,
        scan=scan,
    )


def _random_patient(rng: np.random.Generator) -> Patient:
    height_cm = float(np.clip(rng.normal(171, 9), 150, 200))
    weight_kg = float(rng.uniform(20, 31)) * (height_cm / 100) ** 2
    return Patient(height_cm=round(height_cm, 1), weight_kg=round(weight_kg, 1), group="PHANTOM")


def _grids(scan: Scan, centre_mm: tuple[float, float], pixels: Grid, shape: HeartShape) -> tuple[Grid, slice]:
    """The isotropic grid on which the heart is drawn, and the part along the stack that the truth keeps.

    It covers the field of view, the slabs that the slices stand for, and both ventricles.
    """
    across = max(16, round(scan.size_px * scan.pixel_mm / TRUTH_MM))
    x, y = (axis_samples(c, across, TRUTH_MM) for c in centre_mm)
    box = shape.box(TRUTH_MM).z
    half = scan.spacing_mm / 2
    low = min(float(pixels.z[0]) - half, float(box[0]))
    high = max(float(pixels.z[-1]) + half, float(box[-1]))
    above = max(0.0, low + ABOVE_MM) if scan.long_axis else 0.0
    below = BELOW_MM if scan.long_axis else 0.0
    count, before, after = (int(np.ceil(v / TRUTH_MM)) for v in (high - low, above, below))
    middle = (low + high) / 2 + (after - before) * TRUTH_MM / 2
    z = axis_samples(middle, before + count + after, TRUTH_MM)
    return Grid(x, y, z), slice(before, before + count)


def _labels(shape: HeartShape, grid: Grid) -> NDArray[np.uint8]:
    """(I, J, K) labels on a grid, worked out where the ventricles are."""
    box = grid.around(shape.box(TRUTH_MM))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[box] = shape.labels(*grid.within(box).mesh())
    return labels


def _start(grid: Grid) -> tuple[float, float, float]:
    return float(grid.x[0]), float(grid.y[0]), float(grid.z[0])
