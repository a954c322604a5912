"""Still pictures: cuts before and after, and the heart in relief. They are there without the viewer, too."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.measure import find_contours

from dmcvr.labels.colours import COLOURS
from dmcvr.report.scene import Scene
from dmcvr.report.surfaces import FINE_MM, surface

#: Width of a cut's picture, in pixels, at least.
WIDTH_PX = 480

#: The heart in relief is looked at from here: from before it, a little from the RV's side and from above the base.
EYE = (0.3, 1.0, 0.5)


def cuts(scene: Scene, phase: int = 0) -> dict[str, dict[str, str]]:
    """The short-axis, four-chamber-like and two-chamber-like cut, as acquired and reconstructed, as data URIs.

    ``{"short_axis" | "long_axis" | "long_axis_2": {"acquired", "dense", "labelled"}}``; without acquired slices that
    key is missing.
    """
    x, y, z = scene.middle
    leftwards = slice(None, None, -1)  # x runs to the picture's left
    planes: dict[str, tuple[Any, ...]] = {
        "short_axis": (leftwards, slice(None), z),
        "long_axis": (leftwards, y, slice(None)),
        "long_axis_2": (x, slice(None), slice(None)),
    }
    slabs = scene.as_acquired
    found = {}
    for name, plane in planes.items():
        dense, labels = scene.grey(scene.image[phase][plane]), scene.labels[phase][plane]
        pictures = {"dense": picture(dense), "labelled": picture(dense, labels)}
        if slabs is not None:
            pictures["acquired"] = picture(scene.grey(slabs[phase][plane]), smooth=False)
        found[name] = {key: data_uri(image) for key, image in pictures.items()}
    return found


def picture(grey: NDArray[np.uint8], labels: NDArray[np.uint8] | None = None, *, smooth: bool = True) -> Image.Image:
    """(A, B) bytes with the first axis to the right and the second up, enlarged, with label contours."""
    factor = max(1, round(WIDTH_PX / grey.shape[0]))
    size = (grey.shape[0] * factor, grey.shape[1] * factor)
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    image = Image.fromarray(np.ascontiguousarray(grey.T[::-1])).resize(size, method).convert("RGB")
    if labels is None:
        return image
    draw = ImageDraw.Draw(image)
    for label, colour in COLOURS.items():
        soft = ndimage.gaussian_filter((np.pad(labels, 1) == label).astype(np.float32), 0.6)
        for line in find_contours(soft, 0.5):
            points = (line - 0.5) * factor
            draw.line([(a, size[1] - b) for a, b in points], fill=colour, width=max(2, factor // 2), joint="curve")
    return image


def relief(scene: Scene, phase: int = 0, width_px: int = 440) -> Image.Image | None:
    """The three structures from outside, shaded, on nothing (RGBA); None where there is no heart.

    Triangles from back to front (painter's algorithm), lit from the upper left: no graphics card needed.
    """
    meshes = [(label, surface(scene.labels[phase], scene, label, FINE_MM)) for label in COLOURS]
    found = [(label, *mesh) for label, mesh in meshes if mesh is not None]
    if not found:
        return None
    eye = np.array(EYE) / np.linalg.norm(EYE)
    right = np.cross([0.0, 0.0, 1.0], eye) / np.hypot(eye[0], eye[1])
    view = np.stack([right, np.cross(eye, right), eye])  # rows: to the right, up, towards the eye
    corners, normals, colours = [], [], []
    for label, points, faces in found:
        seen = points @ view.T
        of_face = np.cross(seen[faces[:, 1]] - seen[faces[:, 0]], seen[faces[:, 2]] - seen[faces[:, 0]])
        smooth = np.zeros_like(seen)
        for corner in range(3):
            np.add.at(smooth, faces[:, corner], of_face)
        mean = smooth[faces].mean(axis=1)
        corners.append(seen[faces])
        normals.append(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9))
        colours.append(np.repeat(np.array([COLOURS[label]], dtype=float), len(faces), axis=0))
    triangles, normal, colour = np.concatenate(corners), np.concatenate(normals), np.concatenate(colours)
    light = np.array([-0.5, 0.55, 0.67])
    shade = 0.35 + 0.75 * np.clip(normal @ light, 0, 1)
    rgb = np.clip(colour * shade[:, None], 0, 255).astype(int)
    low = triangles[..., :2].min(axis=(0, 1))
    scale = 2 * width_px / float(np.ptp(triangles[..., 0]))
    size = np.ceil((triangles[..., :2].max(axis=(0, 1)) - low) * scale).astype(int) + 8
    flat = (triangles[..., :2] - low) * scale + 4
    flat[..., 1] = size[1] - flat[..., 1]
    image = Image.new("RGBA", (int(size[0]), int(size[1])))
    draw = ImageDraw.Draw(image)
    for k in np.argsort(triangles[..., 2].mean(axis=1)):
        if normal[k, 2] > -0.2:
            draw.polygon([tuple(point) for point in flat[k]], fill=(*rgb[k], 255))
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def data_uri(image: Image.Image) -> str:
    """A PNG inside the page."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
