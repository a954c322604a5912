"""One heart for all of the report: ED and ES, linear, with given labels."""

from __future__ import annotations

import pytest

from dmcvr.fill.engine import Engine
from dmcvr.phantom import Phantom
from dmcvr.reconstruction import Reconstruction, reconstruct
from dmcvr.report.scene import Scene, make_scene


@pytest.fixture(scope="session")
def heart(phantom: Phantom, engine: Engine) -> Reconstruction:
    return reconstruct(phantom.stack, method="linear", spacing_mm=2.5, engine=engine)


@pytest.fixture(scope="session")
def scene(heart: Reconstruction) -> Scene:
    return make_scene(heart)
