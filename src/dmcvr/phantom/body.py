"""What surrounds the heart: chest wall with its fat, lungs, liver, stomach, aorta. Image only, label 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dmcvr.phantom.frame import Grid
from dmcvr.phantom.paint import ellipsoid, paint, smooth_noise
from dmcvr.phantom.shape import Array

FAT, MUSCLE, LUNG, LIVER, BLOOD = 0.8, 0.22, 0.04, 0.27, 0.8


@dataclass(frozen=True)
class Body:
    """What does not move with the heartbeat, (I, J, K) float32 each: the body and three fields of noise."""

    grid: Grid
    body: Array
    coarse: Array
    middle: Array
    fine: Array


def make_body(rng: np.random.Generator, grid: Grid) -> Body:
    """Draw the body around the place of the heart, with random proportions."""
    step = grid.step_mm
    coarse, middle, fine = (smooth_noise(rng, grid.shape, mm / step) for mm in (14.0, 5.0, 1.7))
    body = _draw(rng, grid, coarse, middle, fine)
    return Body(grid, body, coarse, middle, fine)


def _draw(rng: np.random.Generator, grid: Grid, coarse: Array, middle: Array, fine: Array) -> Array:
    def jitter(value: float, spread: float) -> float:
        return value + float(rng.uniform(-spread, spread))

    x, y, z = grid.mesh()
    step = grid.step_mm
    flat = np.zeros((1, 1, 1), dtype=np.float32)

    lean = np.float32(jitter(0.15, 0.1))
    wide, tall = jitter(122, 8), jitter(140, 8)
    bx, by = x - np.float32(jitter(18, 5)) - lean * y, y - np.float32(jitter(35, 6)) - np.float32(0.1) * z
    skin = ellipsoid(bx, by, flat, (wide, tall, 1e4)) + 3.5 * coarse
    rim = jitter(15, 4) + np.float32(0.1) * z.clip(0, None) + np.float32(2) * np.roll(coarse, 9, axis=0)
    image = np.full(grid.shape, 0.01, dtype=np.float32)
    paint(image, skin, FAT * (1 + 0.04 * middle), step_mm=step)
    paint(image, skin + rim, MUSCLE * (1 + 0.15 * middle), step_mm=step, ink=0.6)
    paint(image, np.abs(skin + rim + 5) - np.float32(1.2) + 3 * np.clip(-coarse, -1, 1), FAT * 0.7, step_mm=step)
    inside = skin + rim + np.float32(jitter(10, 2))
    lung = LUNG * (1 + 0.5 * np.clip(coarse, -1, 1)) + 0.35 * np.clip(fine - 2.1, 0, 1)
    paint(image, inside, lung, step_mm=step)

    dome = np.float32(jitter(46, 4)) - np.float32(0.12) * z + np.float32(0.0025) * (x - 10) ** 2 + 2 * coarse
    belly = np.maximum(inside, dome - y)
    paint(image, belly, FAT * 0.55 * (1 + 0.35 * np.clip(coarse + 0.5 * middle, -1.5, 1.5)), step_mm=step)
    liver = ellipsoid(
        x + np.float32(jitter(48, 10)), y - np.float32(jitter(98, 6)) + np.float32(0.15) * z, z - 30, (74, 50, 130)
    )
    rough = 3 * coarse + 1.2 * middle
    vessels = 0.35 * np.clip(middle - 1.6, 0, 1)
    paint(image, np.maximum(liver + rough, belly), LIVER * (1 + 0.05 * coarse) + vessels, step_mm=step, ink=0.5)
    stomach = ellipsoid(x - np.float32(jitter(55, 8)), y - np.float32(jitter(88, 6)), z - 70, (32, 26, 60))
    paint(image, np.maximum(stomach + rough, belly), 0.33 + 0.06 * middle, step_mm=step, ink=0.5)
    spine = ellipsoid(x - np.float32(jitter(78, 6)), y - np.float32(jitter(105, 5)), flat, (24, 20, 1e4))
    paint(image, np.maximum(spine + rough, inside), 0.3 + 0.05 * middle, step_mm=step, ink=0.4)
    aorta = np.hypot(x - np.float32(jitter(58, 5)) - np.float32(0.1) * z, y - np.float32(jitter(62, 5)))
    tube = aorta - np.float32(jitter(11, 1.5))
    paint(image, np.maximum(tube, z - 60), BLOOD * (1 + 0.05 * coarse), step_mm=step, ink=0.5)
    return image
