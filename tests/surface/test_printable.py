"""Every surface of real hearts can be printed, and holds as much as its voxels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from helpers.printing import complaints, solid

import dmcvr
from dmcvr.fill.engine import Engine
from dmcvr.surface.fit import fitted_strain
from dmcvr.surface.mesh import STRUCTURES, structure_mesh


def check(folder: Path, engine: Engine) -> list[str]:
    """What is wrong with the surfaces of a patient's ED and ES."""
    heart = dmcvr.reconstruct(folder, method="shape", engine=engine)
    wrong = []
    for n, phase in enumerate(heart.phases):
        for name, inside in STRUCTURES.items():
            mesh = structure_mesh(heart.borders[n], name)
            assert mesh is not None
            where = f"{folder.name} {phase} {name}"
            wrong += [f"{where}: {complaint}" for complaint in complaints(solid(mesh))]
            voxels_ml = np.isin(heart.labels.data[n], inside).sum() * heart.labels.voxel_ml
            error = mesh.volume / 1000 / voxels_ml - 1
            if abs(error) > 0.01:
                wrong.append(f"{where}: volume {100 * error:+.1f} %")
    if heart.fitted is None:
        wrong.append(f"{folder.name}: no template")
    else:
        assert np.isfinite(heart.fitted.vertices_mm).all()
        peak = fitted_strain(heart.fitted, heart.phases)["gcs_endocardial_peak_percent"]
        if not -60 < peak < 0:
            wrong.append(f"{folder.name}: GCS {peak}")
    return wrong


def test_a_fault_would_be_found() -> None:
    ball = trimesh.creation.icosphere()
    assert complaints(ball) == []
    two = trimesh.util.concatenate([ball, ball.copy().apply_translation([1.0, 0.2, 0.1])])
    assert [word.split()[-1] for word in complaints(two)] == ["pieces", "cross"]
    found = complaints(trimesh.Trimesh(ball.vertices, ball.faces[1:], process=False))
    assert (found[0], found[-1]) == ("open", "no manifold: NotManifold")
    ball.invert()
    assert "inside out" in complaints(ball)


def test_a_real_heart_can_be_printed(data: Path, engine: Engine) -> None:
    assert check(data / "acdc" / "patient090", engine) == []


@pytest.mark.slow
def test_forty_real_hearts_can_be_printed(data: Path, engine: Engine) -> None:
    folders = sorted((data / "acdc").glob("patient*"))[::5] + sorted((data / "acdc").glob("patient*"))[2::5]
    assert [wrong for folder in folders[:40] for wrong in check(folder, engine)] == []
