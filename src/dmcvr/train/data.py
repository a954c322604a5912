"""Training slices: every slice of every patient on a canvas around the heart, and random views of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dmcvr.errors import InputError
from dmcvr.exam.stack import LABEL_NAMES, SliceStack
from dmcvr.geometry.region import Frame, IntensityScale, crop_images, crop_labels, label_centre
from dmcvr.geometry.roi import ROI_MM
from dmcvr.train.patients import labelled_patients

#: Side (pixels) and pixel size of the stored canvas: room for a shifted, rotated view, and for views beside the
#: heart.
CANVAS = 224
PIXEL_MM = 1.5

#: Knots along each side of a view where an elastic deformation is drawn; between them it is smooth.
ELASTIC_KNOTS = 5


@dataclass(frozen=True)
class TrainingSet:
    """M slices with labels; those of one patient and phase follow each other in order of position.

    =========  ============  ===========================================================================
    images     (M, S, S)     float16, the ROI's [-1, 1] scale, not clipped
    labels     (M, S, S)     uint8, ours
    patients   (M,)          names
    phases     (M,)          names
    positions  (M,)          float64, mm along the stack
    known      (M,)          uint8, the sum of 2^(c - 1) over the structures c that were looked for there (7: all);
                             of a partly labelled slice, background means "none of those"
    =========  ============  ===========================================================================
    """

    images: NDArray[np.float16]
    labels: NDArray[np.uint8]
    patients: NDArray[np.str_]
    phases: NDArray[np.str_]
    positions: NDArray[np.float64]
    known: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sha256(self) -> str:
        """Of all that is in it."""
        digest = hashlib.sha256()
        for f in fields(self):
            values: NDArray[Any] = getattr(self, f.name)
            text = values.dtype.kind == "U"  # as wide as the longest name, or wider
            digest.update(json.dumps(values.tolist()).encode() if text else np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def of(self, names: tuple[str, ...]) -> TrainingSet:
        """The slices of these patients."""
        keep = np.isin(self.patients, names)
        return TrainingSet(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    def neighbours(self) -> NDArray[np.intp]:
        """(M, 2) indices of the slices below and above in the same stack; -1, -1 where one is missing."""
        index = np.arange(len(self))
        stack = np.unique(np.stack([self.patients, self.phases]), axis=1, return_inverse=True)[1].ravel()
        inner = np.zeros(len(self), dtype=bool)
        inner[1:-1] = (stack[1:-1] == stack[:-2]) & (stack[1:-1] == stack[2:])
        return np.where(inner[:, None], np.stack([index - 1, index + 1], axis=1), -1)

    def save(self, path: Path) -> None:
        """One compressed file, to carry to another machine."""
        np.savez_compressed(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> TrainingSet:
        try:
            with np.load(path, allow_pickle=False) as archive:
                return cls(**{f.name: archive[f.name] for f in fields(cls)})
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path} is not a packed training set: make it with dmcvr train pack.") from error


def heart_frame(stack: SliceStack, labels: NDArray[np.uint8], size: int) -> Frame:
    """The frame centred on labels (P, N, I, J), with the stack's own axes as u and v."""
    u, v = (stack.affines[0, :3, axis] / stack.pixel_mm[axis] for axis in (0, 1))
    return Frame(label_centre(stack, labels), u, v, size, PIXEL_MM)


def slices_of(
    name: str,
    stack: SliceStack,
    known: Collection[int] = tuple(LABEL_NAMES),
    window: tuple[float, float] | None = None,
) -> TrainingSet:
    """The slices of one labelled exam on the canvas; its intensity scale is that of the ROI, or a fixed window."""
    if stack.labels is None:
        raise InputError(f"{name} has no labels to train on.")
    if window is None:
        scale = IntensityScale.of(crop_images(stack, heart_frame(stack, stack.labels, round(ROI_MM / PIXEL_MM))))
    else:
        scale = IntensityScale(*window)
    frame = heart_frame(stack, stack.labels, CANVAS)
    unit = (crop_images(stack, frame) - scale.low) / (scale.high - scale.low) * 2 - 1
    p, n = unit.shape[:2]
    return TrainingSet(
        images=np.clip(unit, -1.5, 3).reshape(p * n, CANVAS, CANVAS).astype(np.float16),
        labels=crop_labels(stack, stack.labels, frame).reshape(p * n, CANVAS, CANVAS),
        patients=np.repeat(np.array([name]), p * n),
        phases=np.repeat(np.array(stack.phases), n),
        positions=np.tile(stack.positions_mm, p),
        known=np.full(p * n, sum(2 ** (c - 1) for c in known), dtype=np.uint8),
    )


def load_training_set(
    data: Path, names: tuple[str, ...] | None = None, *, window: tuple[float, float] | None = None
) -> TrainingSet:
    """Slices of a folder of patients or of a packed file, of these patients only.

    `window` gives the grey values of a folder's pictures that become -1 and 1; None: as each heart has them.
    """
    if data.is_file():
        packed = TrainingSet.load(data)
        return packed if names is None else packed.of(names)
    chosen = [patient for patient in labelled_patients(data) if names is None or patient.name in names]
    if not chosen:
        raise InputError(f"None of the patients of the split is under {data}: write a new split with --split.")
    return joined([slices_of(p.name, stack, p.known, window) for p in chosen for stack in p.load()])


def joined(parts: Sequence[TrainingSet]) -> TrainingSet:
    """One set of several."""
    return TrainingSet(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(TrainingSet)})


def patient_groups(data: Path) -> dict[str, str]:
    """{patient: disease group} of a folder of patients or a packed file (which knows no groups)."""
    if data.is_file():
        return dict.fromkeys(TrainingSet.load(data).patients.tolist(), "")
    return {patient.name: patient.group for patient in labelled_patients(data)}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random views. Mirrored hearts do not exist, and the sides tell LV from RV: no mirroring where that is learned."""

    rotation_deg: float = 30.0
    scale: float = 0.15
    shift_mm: float = 12.0
    anywhere: float = 0.0  # share of views whose centre is anywhere on the canvas
    contrast: float = 0.2
    gamma: float = 0.25
    noise: float = 0.04
    bias: float = 0.2
    mirrored: float = 0.0  # share of views
    elastic_mm: float = 0.0  # SD of a smooth deformation
    view_mm: float = ROI_MM  # side of a view
    field: float = 1.0  # least share of the view's sides that a picture fills; beyond, its edge goes on


#: A view as it is.
STILL = Augmentation(rotation_deg=0, scale=0, shift_mm=0, contrast=0, gamma=0, noise=0, bias=0)


@overload
def random_view(
    images: Tensor, labels: Tensor, generator: torch.Generator, how: Augmentation, size: int
) -> tuple[Tensor, Tensor]: ...


@overload
def random_view(
    images: Tensor, labels: None, generator: torch.Generator, how: Augmentation, size: int
) -> tuple[Tensor, None]: ...


@overload
def random_view(
    images: Tensor, labels: Tensor | None, generator: torch.Generator, how: Augmentation, size: int
) -> tuple[Tensor, Tensor | None]: ...


def random_view(
    images: Tensor, labels: Tensor | None, generator: torch.Generator, how: Augmentation, size: int
) -> tuple[Tensor, Tensor | None]:
    """Views (B, C, size, size) of the ROI in [-1, 1] from canvases (B, C, S, S), and of their labels (B, [L,] S, S).

    One affine and elastic resampling an item (bicubic images, nearest labels), then bias field, gamma, contrast,
    noise; the C slices of an item share all of it but the noise.
    """
    b, canvas = images.shape[0], images.shape[-1]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(b, *shape, generator=generator) * (high - low) + low

    angle = uniform(-1, 1) * math.radians(how.rotation_deg)
    zoom = 1 + uniform(-1, 1) * how.scale
    shift = torch.randn(b, 2, generator=generator) * how.shift_mm / PIXEL_MM
    elsewhere = uniform(0, 1) < how.anywhere
    shift = torch.where(elsewhere[:, None], uniform(-0.5, 0.5, 2) * (canvas - how.view_mm / PIXEL_MM / 2), shift)
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    side = torch.where(torch.rand(b, generator=generator) < how.mirrored, -1.0, 1.0) if how.mirrored else 1.0
    ratio = how.view_mm / PIXEL_MM / canvas
    theta = torch.stack(
        [
            torch.stack([side * cos * ratio, -sin * ratio, shift[:, 0] * 2 / canvas], dim=1),
            torch.stack([side * sin * ratio, cos * ratio, shift[:, 1] * 2 / canvas], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, [b, 1, size, size], align_corners=False)
    if how.field < 1:
        sides = uniform(how.field, 1, 1, 1, 2)
        low = -1 + 2 * (1 - sides) * uniform(0, 1, 1, 1, 2)
        plain = F.affine_grid(torch.eye(2, 3).expand(b, 2, 3), [b, 1, size, size], align_corners=False)
        seen = torch.maximum(torch.minimum(plain, low + 2 * sides), low)
        grid = (seen.flatten(1, 2) @ theta[:, :, :2].mT + theta[:, None, :, 2]).view(grid.shape)
    if how.elastic_mm:
        bends = torch.randn(b, 2, ELASTIC_KNOTS, ELASTIC_KNOTS, generator=generator) * how.elastic_mm
        bends = F.interpolate(bends, size=(size, size), mode="bicubic", align_corners=True)
        grid = grid + bends.movedim(1, -1) / (canvas * PIXEL_MM / 2)
    view = F.grid_sample(images.float(), grid, mode="bicubic", padding_mode="border", align_corners=False)
    mask = None
    if labels is not None:
        maps = labels if labels.ndim == 4 else labels[:, None]
        mask = F.grid_sample(maps.float(), grid, mode="nearest", align_corners=False).long()
        mask = mask if labels.ndim == 4 else mask[:, 0]

    field = F.interpolate(uniform(-1, 1, 1, 3, 3), size=(size, size), mode="bicubic", align_corners=True)
    unit = ((view + 1) / 2).clamp(min=0) * (1 + how.bias * field)
    unit = unit.clamp(min=1e-4) ** torch.exp(uniform(-1, 1, 1, 1, 1) * how.gamma)
    unit = (
        (unit - 0.5) * (1 + uniform(-1, 1, 1, 1, 1) * how.contrast) + 0.5 + uniform(-0.5, 0.5, 1, 1, 1) * how.contrast
    )
    level = uniform(0, how.noise, 1, 1, 1)
    unit = unit + level * torch.randn(unit.shape, generator=generator)
    return unit.mul(2).sub(1).clamp(-1, 1), mask
