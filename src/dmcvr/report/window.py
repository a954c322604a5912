"""Window and level: which grey values are black and white, by the heart and not by the chest around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Darkest and brightest share of the heart (percent) that may be lost: robust against a hot pixel.
PERCENTILES = (1.0, 99.5)

#: What lies this near to the heart counts as its dark: fat and lung, so that the wall's outer border shows.
AROUND_VOXELS = 3

#: Bytes reach so far below black and above white, in windows, where the picture has such values: for other windows.
SPARE = (0.25, 1.0)


@dataclass(frozen=True)
class Window:
    """Grey values shown as black and white, how far a page's bytes reach, and windows for parts of the heart.

    ===========  ===============================================================
    low, high    of the heart, the automatic window
    least, most  what byte 0 and byte 255 of an embedded picture stand for
    presets      name to (low, high), the automatic one first
    ===========  ===============================================================
    """

    low: float
    high: float
    least: float
    most: float
    presets: dict[str, tuple[float, float]]

    def bytes(self, images: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Black to white as 0 to 255."""
        return _bytes(images, self.low, self.high)

    def spacious(self, images: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The same with room to change the window: `least` to `most` as 0 to 255."""
        return _bytes(images, self.least, self.most)


def heart_window(image: NDArray[np.float32], labels: NDArray[np.uint8]) -> Window:
    """The window of (P, X, Y, Z) pictures by what is labelled in them; by all of them where nothing is."""
    heart = labels > 0
    inner = image[heart] if heart.any() else image.ravel()
    near = image[ndimage.binary_dilation(heart, iterations=AROUND_VOXELS, axes=(1, 2))] if heart.any() else inner
    low, high = float(np.percentile(near, PERCENTILES[0])), float(np.percentile(inner, PERCENTILES[1]))
    high = max(high, low + 1e-6 * max(1.0, abs(low)))
    width = high - low
    darkest, brightest = (float(v) for v in np.percentile(image, (0.0, 99.9)))
    least, most = min(low, max(darkest, low - SPARE[0] * width)), max(high, min(brightest, high + SPARE[1] * width))
    presets = {"Heart": (low, high), "All": (least, most)}
    if (labels == 1).any() and (labels == 2).any():
        blood, muscle = (float(np.median(image[labels == label])) for label in (1, 2))
        half = abs(blood - muscle) / 2
        if half > 0.02 * width:
            presets["Muscle"] = (muscle - 1.2 * half, muscle + 1.2 * half)
            presets["Blood"] = (blood - 1.6 * half, blood + 1.6 * half)
    return Window(low, high, least, most, presets)


def _bytes(images: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    return np.asarray(np.clip((images - low) / (high - low) * 255 + 0.5, 0, 255), dtype=np.uint8)
