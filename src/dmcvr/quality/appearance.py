"""How a drawn slice looks beside the true one, by measures that nothing here is trained on. Images are in [0, 1].

HaarPSI and GMSD compare edges, VIF the information that is left, MS-SSIM the structure at several scales (all four as
published, on grey values of 0 to 255 where their constants ask for it), `spectrum` how much fine detail there is at
all, wherever it lies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import prewitt
from scipy.signal import convolve2d

#: Structures of 1.5 to 3 mm and of 3 to 6 mm: a structure's size is half a wavelength.
FINE_MM, MIDDLE_MM = (1.5, 3.0), (3.0, 6.0)

#: The weights of Wang et al. 2003 for the first four of their five scales, scaled to add up to 1. The fifth would be
#: smaller than its 11 px window in a slice of 128 px.
MS_SSIM_WEIGHTS = tuple(weight / 0.8668 for weight in (0.0448, 0.2856, 0.3001, 0.2363))

Image = NDArray[np.floating[Any]]


def haarpsi(image: Image, truth: Image) -> float:
    """Haar wavelet perceptual similarity (Reisenhofer et al. 2018), 1 for equal images."""
    c, alpha = 30.0, 4.2
    similarity, weight = [], []
    for axis in (0, 1):
        found, wanted = ([np.abs(_haar(_halved(a), 2**k, axis)) for k in (1, 2, 3)] for a in (image, truth))
        local = [(2 * a * b + c) / (a**2 + b**2 + c) for a, b in zip(found[:2], wanted[:2], strict=True)]
        similarity.append(1 / (1 + np.exp(-alpha * np.mean(local, axis=0))))
        weight.append(np.maximum(found[2], wanted[2]))
    pooled = np.sum(np.multiply(similarity, weight)) / max(float(np.sum(weight)), 1e-12)
    return float((np.log(pooled / (1 - pooled)) / alpha) ** 2) if pooled else 1.0  # no edge in either


def gmsd(image: Image, truth: Image) -> float:
    """Gradient magnitude similarity deviation (Xue et al. 2014), 0 for equal images."""
    c = 170.0
    a, b = (
        np.hypot(*(prewitt(_halved(part), axis, mode="constant") / 3 for axis in (0, 1))) for part in (image, truth)
    )
    return float(np.std((2 * a * b + c) / (a**2 + b**2 + c)))


def vif(image: Image, truth: Image) -> float:
    """Visual information fidelity in the pixel domain (Sheikh & Bovik 2006; torchmetrics), 1 for equal images."""
    from torchmetrics.functional.image import visual_information_fidelity

    return float(visual_information_fidelity(_tensor(255 * image), _tensor(255 * truth)))


def ms_ssim(image: Image, truth: Image) -> float:
    """Structural similarity at four scales (Wang et al. 2003: 11 px window, sigma 1.5; torchmetrics), 1 for equal."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    similarity = multiscale_structural_similarity_index_measure(
        _tensor(image), _tensor(truth), data_range=1.0, betas=MS_SSIM_WEIGHTS, normalize="relu"
    )
    return float(similarity)


def spectrum(image: Image, truth: Image, pixel_mm: float, size_mm: tuple[float, float]) -> float:
    """Energy of structures of this size, over the truth's; 1 is right.

    Energy is the squared magnitude of the Fourier transform of the slice less its mean, under a Hann window, summed
    over the ring of frequencies whose half wavelength is at least the one size and less than the other.
    """
    low, high = size_mm
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n, pixel_mm) for n in truth.shape), indexing="ij"))
    ring = (f > 1 / (2 * high)) & (f <= 1 / (2 * low))
    window = np.outer(*(np.hanning(n) for n in truth.shape))
    found, wanted = (
        float((np.abs(np.fft.fft2((part - part.mean()) * window)) ** 2)[ring].sum()) for part in (image, truth)
    )
    return found / max(wanted, 1e-12)


def _haar(image: NDArray[np.float64], side: int, axis: int) -> NDArray[np.float64]:
    """The image's Haar wavelet coefficients of this scale, across or along."""
    kernel = np.full((side, side), 1 / side)
    kernel[: side // 2] *= -1
    return np.asarray(convolve2d(image, kernel if axis == 0 else kernel.T, mode="same"))


def _halved(image: Image) -> NDArray[np.float64]:
    """Means of two by two pixels, in grey values of 0 to 255."""
    height, width = (n // 2 for n in image.shape)
    blocks = image[: 2 * height, : 2 * width].astype(np.float64).reshape(height, 2, width, 2)
    return np.asarray(255 * blocks.mean(axis=(1, 3)))


def _tensor(image: Image) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
