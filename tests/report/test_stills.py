"""Still pictures show the heart."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from dmcvr.report.scene import Scene
from dmcvr.report.stills import cuts, relief


def test_stills_show_something(scene: Scene) -> None:
    for pictures in cuts(scene).values():
        for uri in pictures.values():
            image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
            assert np.asarray(image).std() > 10
    seen = relief(scene)
    assert seen is not None
    colours = np.asarray(seen)[np.asarray(seen)[..., 3] > 200][:, :3].astype(int)
    assert len(colours) > 0.2 * seen.width * seen.height
    assert (colours[:, 2] > colours[:, 0] + 40).any()  # the RV's blue
    assert relief(replace(scene, labels=np.zeros_like(scene.labels))) is None
