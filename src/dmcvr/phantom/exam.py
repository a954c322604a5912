"""One synthetic exam, from a seed: the acquired stack and the truth that it was taken from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dmcvr.exam.stack import Patient, SliceStack
from dmcvr.exam.volume import Volume
from dmcvr.phantom.body import make_body
from dmcvr.phantom.frame import Grid, HeartFrame, axis_samples
from dmcvr.phantom.render import render
from dmcvr.phantom.scan import Scan, acquire, draw_shifts, shading, slice_grid, slice_labels, slice_positions
from dmcvr.phantom.shape import HeartShape

PHASES = ("ED", "ES")

#: Voxel size of the truth, the same along all axes.
TRUTH_MM = 1.5


@dataclass(frozen=True)
class Phantom:
    """A synthetic exam and its truth, in one world frame (RAS+ mm).

    ============  ===============================================================================
    stack         what the scanner gave: images and labels (2, N, I, J), phases ED and ES
    truth_image   (2, I', J', K') float32 at 1.5 mm, free of noise, shading and shifts
    truth_labels  (2, I', J', K') uint8 on the same grid: 1 LV cavity, 2 LV myocardium, 3 RV cavity
    shapes        the closed-form hearts at ED and ES
    shifts_mm     (N, 2) float64: how far the heart of each slice lies out of its true place, along the slice's first
                  and second pixel axis, by its breath-hold; the same in all phases
    seed, scan    what made it
    ============  ===============================================================================

    Papillary muscles and trabeculae show in the images and count as cavity in the labels. Atria and vessels
    show above the base and have no label.
    """

    stack: SliceStack
    truth_image: Volume
    truth_labels: Volume
    shapes: tuple[HeartShape, HeartShape]
    shifts_mm: NDArray[np.float64]
    seed: int
    scan: Scan


def make_phantom(seed: int, scan: Scan | None = None) -> Phantom:
    """The exam of this seed: the same seed gives the same anatomy under every scan (default `Scan()`)."""
    scan = scan or Scan()
    anatomy, tissue, motion, coil, noise = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5))
    shapes = random_shapes(anatomy)
    frame = HeartFrame.random(anatomy)
    cx, cy = (float(c) for c in anatomy.uniform((-8, 2), (12, 22)))
    positions = slice_positions(shapes[0], scan, float(anatomy.uniform(0.3, 0.8)))
    patient = _random_patient(anatomy)

    pixels = slice_grid(scan, (cx, cy), positions)
    fine = _truth_grid(scan, (cx, cy), pixels)
    scene = make_body(tissue, fine)
    truth = np.stack([render(shape, scene) for shape in shapes])
    shifts = draw_shifts(motion, scan, len(positions))
    field = shading(coil, pixels, scan)
    images = np.stack([acquire(image, fine, pixels, scan, shifts, noise) for image in truth])

    affine = frame.affine(_start(fine), (TRUTH_MM,) * 3)
    affines = np.stack(
        [
            frame.affine((*_start(pixels)[:2], float(z)), (scan.pixel_mm, scan.pixel_mm, scan.spacing_mm))
            for z in positions
        ]
    )
    stack = SliceStack(
        images=images * field,
        affines=affines,
        thickness_mm=scan.thickness_mm,
        phases=PHASES,
        labels=np.stack([slice_labels(shape, pixels, shifts) for shape in shapes]),
        patient=patient,
    )
    labels = np.stack([shape.labels(*fine.mesh()) for shape in shapes])
    return Phantom(stack, Volume(truth, affine), Volume(labels, affine), shapes, shifts, seed, scan)


def random_shapes(rng: np.random.Generator) -> tuple[HeartShape, HeartShape]:
    """A heart at ED and ES: ejection fraction 47-68 %, long-axis shortening 8-15 mm."""
    ed = HeartShape.random(rng)
    return ed, ed.end_systole(ejection_fraction=float(rng.uniform(0.47, 0.68)), descent_mm=float(rng.uniform(8, 15)))


def _random_patient(rng: np.random.Generator) -> Patient:
    height_cm = float(np.clip(rng.normal(171, 9), 150, 200))
    weight_kg = float(rng.uniform(20, 31)) * (height_cm / 100) ** 2
    return Patient(height_cm=round(height_cm, 1), weight_kg=round(weight_kg, 1), group="PHANTOM")


def _truth_grid(scan: Scan, centre_mm: tuple[float, float], pixels: Grid) -> Grid:
    """Isotropic grid over the field of view and over the slab from half a spacing before to half a one behind."""
    across = max(16, round(scan.size_px * scan.pixel_mm / TRUTH_MM))
    along = int(np.ceil(len(pixels.z) * scan.spacing_mm / TRUTH_MM))
    x, y = (axis_samples(c, across, TRUTH_MM) for c in centre_mm)
    return Grid(x, y, axis_samples(float(pixels.z.mean()), along, TRUTH_MM))


def _start(grid: Grid) -> tuple[float, float, float]:
    return float(grid.x[0]), float(grid.y[0]), float(grid.z[0])
