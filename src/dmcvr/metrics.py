"""Image and label agreement. Images are in [0, 1]; data range 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def psnr_db(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """Peak signal-to-noise ratio, -10 log10(mean squared error), of images in [0, 1]; any shape."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float(-10 * np.log10(max(error, 1e-12)))


def ssim(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5) of two 2D images in [0, 1]."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(  # type: ignore[no-untyped-call, unused-ignore]
            a, b, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def dice(a: NDArray[Any], b: NDArray[Any]) -> float:
    """2 |A and B| / (|A| + |B|) of two masks; nan where both are empty (such a case does not count)."""
    total = int(a.sum()) + int(b.sum())
    return float(2 * np.logical_and(a, b).sum() / total) if total else float("nan")


def sharpness(image: NDArray[np.floating[Any]]) -> float:
    """Mean gradient magnitude of a 2D image, per pixel."""
    return float(np.hypot(*np.gradient(image)).mean())
