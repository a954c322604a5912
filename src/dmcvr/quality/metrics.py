"""Image and label agreement, by well-kept libraries. Images are in [0, 1]; data range 1.

Empty structures: where neither map has one, a score is nan (there is nothing to compare, and means leave it out);
where only one has it, Dice is 0 and a surface distance is `MISSED_MM`, so that missing a structure, or inventing
one, never improves a mean.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import NDArray

#: Surface distance that counts for a structure which only one of two maps has: about a ventricle's width.
MISSED_MM = 40.0


def psnr_db(a: Float[np.ndarray, " *D"], b: Float[np.ndarray, " *D"]) -> float:
    """Peak signal-to-noise ratio, -10 log10(mean squared error), of images in [0, 1]; any shape."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float(-10 * np.log10(max(error, 1e-12)))


def ssim(a: Float[np.ndarray, "H W"], b: Float[np.ndarray, "H W"]) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5) of two 2D images in [0, 1]."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(  # type: ignore[no-untyped-call, unused-ignore]
            a, b, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def correlation(a: Float[np.ndarray, " *D"], b: Float[np.ndarray, " *D"]) -> float:
    """Pearson's correlation of two images' pixels; nan where one is constant. Blind to brightness and contrast."""
    if min(float(np.ptp(a)), float(np.ptp(b))) == 0:
        return float("nan")
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def flicker(frames: Float[np.ndarray, "P ..."]) -> float:
    """How much frames (P, ...) of a heartbeat tremble: root mean square of the second difference in time, over root 6.

    The last frame is followed by the first. Independent noise of standard deviation s gives s; what stands still or
    moves evenly gives nearly 0. Raises `ValueError` for fewer than three frames.
    """
    if len(frames) < 3:
        raise ValueError(f"Expected three frames or more; got {len(frames)}.")
    frames = frames.astype(np.float64)
    second = np.roll(frames, 1, axis=0) - 2 * frames + np.roll(frames, -1, axis=0)
    return float(np.sqrt(np.mean(second**2) / 6))


def dice(a: Shaped[np.ndarray, " *D"], b: Shaped[np.ndarray, " *D"]) -> float:
    """2 |A and B| / (|A| + |B|) of two masks of any dimension."""
    total = int(a.sum()) + int(b.sum())
    return float(2 * np.logical_and(a, b).sum() / total) if total else float("nan")


def hd95_mm(a: Shaped[np.ndarray, " *D"], b: Shaped[np.ndarray, " *D"], spacing_mm: Sequence[float]) -> float:
    """95th percentile of the Hausdorff distance of two masks' borders, the larger of both directions (MONAI)."""
    from monai.metrics import compute_hausdorff_distance

    return _surface_distance(compute_hausdorff_distance, a, b, spacing_mm, percentile=95)


def assd_mm(a: Shaped[np.ndarray, " *D"], b: Shaped[np.ndarray, " *D"], spacing_mm: Sequence[float]) -> float:
    """Average symmetric surface distance of two masks (MONAI)."""
    from monai.metrics import compute_average_surface_distance

    return _surface_distance(compute_average_surface_distance, a, b, spacing_mm, symmetric=True)


def surface_distances_mm(
    a: Shaped[np.ndarray, " *D"],
    b: Shaped[np.ndarray, " *D"],
    spacing_mm: Sequence[float],
    region: Shaped[np.ndarray, " *D"] | None = None,
) -> tuple[float, float]:
    """HD95 and average symmetric surface distance of two masks: of whole borders, or of what is in a region (MONAI).

    Each border voxel in the region counts with its distance to the other mask's whole border, wherever that is: the
    region's edge is no border. nan where neither border passes the region; `MISSED_MM` where it holds some of one mask
    and the other is empty altogether.
    """
    from monai.metrics.utils import get_mask_edges, get_surface_distance

    if not a.any() or not b.any():
        either = np.logical_or(a, b) if region is None else np.logical_or(a, b) & region
        distance = MISSED_MM if either.any() else float("nan")
        return distance, distance
    box = tuple(slice(max(0, low - 2), high + 3) for low, high in _extent(np.logical_or(a, b)))
    edges = [np.asarray(edge, dtype=bool) for edge in get_mask_edges(a[box], b[box], crop=False)]
    near = [
        get_surface_distance(own, other, spacing=list(spacing_mm))[slice(None) if region is None else region[box][own]]
        for own, other in (edges, edges[::-1])
    ]
    worst = [float(np.percentile(part, 95)) for part in near if len(part)]
    return (max(worst), float(np.concatenate(near).mean())) if worst else (float("nan"), float("nan"))


def _surface_distance(
    measure: Any, a: NDArray[Any], b: NDArray[Any], spacing_mm: Sequence[float], **options: Any
) -> float:
    import torch

    if not a.any() or not b.any():
        return MISSED_MM if a.any() or b.any() else float("nan")
    # Only where either mask is (and a rim): surfaces outside are none, and the rest costs time.
    box = tuple(slice(max(0, low - 2), high + 3) for low, high in _extent(np.logical_or(a, b)))
    masks = (torch.from_numpy(np.ascontiguousarray(mask[box]))[None, None] for mask in (a, b))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MONAI 1.6 warns of an argument that it passes itself
        return float(measure(*masks, include_background=True, spacing=list(spacing_mm), **options))


def _extent(mask: NDArray[Any]) -> list[tuple[int, int]]:
    where = np.nonzero(mask)
    return [(int(axis.min()), int(axis.max())) for axis in where]
