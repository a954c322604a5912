"""Still pictures: cuts before and after, and the heart in relief. They are there without the viewer, too."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from dmcvr.labels.colours import COLOURS
from dmcvr.report.figure import Figure, figure
from dmcvr.report.scene import Scene
from dmcvr.report.surfaces import FINE_MM, surface

#: The heart in relief is looked at from here: from before it, a little from the RV's side and from above the base.
EYE = (0.3, 1.0, 0.5)

#: What each cut is called.
CUTS = {"short_axis": "Short-axis cut", "long_axis": "Long-axis cut", "long_axis_2": "Second long-axis cut"}


def cuts(scene: Scene, phase: int = 0) -> dict[str, dict[str, Figure]]:
    """The short-axis, four-chamber-like and two-chamber-like cut, as acquired and reconstructed.

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
    slabs = scene.as_acquired(phase)
    found = {}
    for name, plane in planes.items():
        dense, labels = scene.grey(scene.image[phase][plane]), scene.labels[phase][plane]
        pictures = {
            "dense": figure(dense, f"{CUTS[name]} through the reconstruction", caption="Reconstructed"),
            "labelled": figure(
                dense,
                f"{CUTS[name]} with the outlines of LV cavity, LV myocardium and RV cavity",
                caption="Reconstructed, with the label map's outlines",
                labels=labels,
                completed=scene.completed[phase][plane],
            ),
        }
        if slabs is not None:
            pictures["acquired"] = figure(
                scene.grey(slabs[plane]),
                f"{CUTS[name]} through the slices as acquired",
                caption="As acquired: each slice as thick as its distance to the next",
                sharp=True,
            )
        found[name] = pictures
    return found


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
        around = faces.T.ravel()
        smooth = np.stack([np.bincount(around, np.tile(way, 3), len(seen)) for way in of_face.T], axis=1)
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
    order = np.argsort(triangles[..., 2].mean(axis=1))
    order = order[normal[order, 2] > -0.2]
    for outline, ink in zip(flat[order].reshape(-1, 6).tolist(), rgb[order].tolist(), strict=True):
        draw.polygon(outline, fill=(*ink, 255))
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
