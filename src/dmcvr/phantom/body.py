"""What surrounds the heart: chest wall with its fat, lungs, liver, stomach, spine, aorta. Image only, label 0."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dmcvr.phantom.frame import Box, Grid, HeartFrame
from dmcvr.phantom.paint import paint, smooth_noise
from dmcvr.phantom.solid import Array, Point, ellipsoid
from dmcvr.phantom.tissue import MRI, Tissues

#: From the heart's apex to the skin, at the least.
WALL_MM = 36.0


@dataclass(frozen=True)
class Body:
    """What does not move with the heartbeat, (I, J, K) float32 each: the body and three fields of noise.

    `up` is the direction to the head in the heart frame; `tissues` are those that it is drawn with.
    """

    grid: Grid
    tissues: Tissues
    up: Point
    body: Array
    coarse: Array
    middle: Array
    fine: Array

    def within(self, box: Box) -> Body:
        """The same, in a box of voxels."""
        fields = {name: getattr(self, name)[box] for name in ("body", "coarse", "middle", "fine")}
        return replace(self, grid=self.grid.within(box), **fields)


def make_body(rng: np.random.Generator, grid: Grid, frame: HeartFrame, apex: Point, tissues: Tissues = MRI) -> Body:
    """Draw the body around the place of the heart, with random proportions; the chest is deep enough for the apex."""
    step = grid.step_mm
    coarse, middle, fine = (smooth_noise(rng, grid.shape, mm / step) for mm in (14.0, 5.0, 1.7))
    body = _draw(rng, grid, frame, frame.to_world(apex), tissues, coarse, middle, fine)
    up = (float(frame.u[2]), float(frame.v[2]), float(frame.axis[2]))
    return Body(grid, tissues, up, body, coarse, middle, fine)


def _draw(
    rng: np.random.Generator,
    grid: Grid,
    frame: HeartFrame,
    apex: NDArray[np.float64],
    tissues: Tissues,
    coarse: Array,
    middle: Array,
    fine: Array,
) -> Array:
    def jitter(value: float, spread: float) -> np.float32:
        return np.float32(value + float(rng.uniform(-spread, spread)))

    step, line = grid.step_mm, tissues.outline
    right, front, head = _patient_axes(grid, frame)
    flat = np.zeros((1, 1, 1), dtype=np.float32)

    # The chest: fat under the skin, muscle with ribs, a line of fat, lungs.
    wide, deep = float(jitter(168, 8)), float(jitter(106, 5))
    back = jitter(10, 4)
    deep = max(deep, float((apex[1] + back + WALL_MM) / np.sqrt(1 - min(0.5, (apex[0] / wide) ** 2))))
    skin = ellipsoid(right, front + back + np.float32(0.08) * (head + 45), flat, (wide, deep, 1e4)) + 2.5 * coarse
    rim = jitter(12, 4) + np.float32(2) * np.roll(coarse, 9, axis=0)
    ribs = np.float32(1.5) * np.sin(head / np.float32(4.2) + np.float32(0.03) * right)
    image = np.full(grid.shape, tissues.air, dtype=np.float32)
    paint(image, skin, tissues.fat * (1 + 0.04 * middle), step_mm=step)
    paint(image, skin + rim, tissues.muscle * (1 + 0.15 * middle), step_mm=step, ink=0.6 * line)
    paint(
        image,
        np.abs(skin + rim + 5) - np.float32(1.2) + ribs + 3 * np.clip(-coarse, -1, 1),
        tissues.fat * 0.7,
        step_mm=step,
    )
    inside = skin + rim + jitter(9, 2)
    lung = tissues.lung * (1 + 0.5 * np.clip(coarse, -1, 1)) + 0.35 * np.clip(fine - 2.1, 0, 1)
    paint(image, inside, lung, step_mm=step)

    # Below the diaphragm: fat, liver on the right, stomach on the left.
    dome = jitter(-36, 3) - np.float32(0.5) * front + np.float32(12) * np.clip(right / 60, -0.6, 1) + 2 * coarse
    dome -= np.float32(0.002) * np.square(right - 10)
    below = (head - dome) / np.float32(1.12)
    belly = np.maximum(inside, below)
    paint(image, belly, tissues.fat * 0.55 * (1 + 0.35 * np.clip(coarse + 0.5 * middle, -1.5, 1.5)), step_mm=step)
    rough = 3 * coarse + 1.2 * middle
    vessels = tissues.liver_vessels * np.clip(middle - 1.6, 0, 1)
    organs = np.maximum(belly + 2, rough - 4 + np.maximum(-below - 110, -right + jitter(-24, 8)))
    paint(image, organs, tissues.liver * (1 + 0.05 * coarse) + vessels, step_mm=step, ink=0.5 * line)
    stomach = ellipsoid(right + jitter(62, 8), front - jitter(2, 8), head - jitter(-98, 6), (40, 42, 44))
    paint(image, np.maximum(stomach + rough, belly + 2), tissues.stomach + 0.06 * middle, step_mm=step, ink=0.5 * line)

    # Behind the heart: spine and descending aorta.
    spine = ellipsoid(right, front + jitter(82, 4), flat, (24, 21, 1e4))
    paint(image, np.maximum(spine + rough, inside), tissues.spine + 0.05 * middle, step_mm=step, ink=0.4 * line)
    aorta = np.hypot(right + jitter(24, 4), front + jitter(54, 4)) - jitter(11, 1.5)
    paint(image, aorta - 1.5, tissues.muscle, step_mm=step)
    paint(image, aorta, tissues.aorta * (1 + 0.05 * coarse), step_mm=step, ink=0.5 * line)
    return image


def _patient_axes(grid: Grid, frame: HeartFrame) -> tuple[Array, Array, Array]:
    """(I, J, K) each: mm to the patient's right, front and head, from the middle of the chest."""
    x, y, z = grid.mesh()
    r, a, s = (
        np.asarray(np.float32(o) + np.float32(u) * x + np.float32(v) * y + np.float32(w) * z, dtype=np.float32)
        for o, u, v, w in zip(frame.origin, frame.u, frame.v, frame.axis, strict=True)
    )
    return r, a, s
