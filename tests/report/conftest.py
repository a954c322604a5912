"""One heart for all of the report: ED and ES, linear, with given labels, nothing completed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dmcvr.fill.engine import Engine
    from dmcvr.phantom import Phantom
    from dmcvr.reconstruction import Reconstruction
    from dmcvr.report.scene import Scene


@pytest.fixture(scope="session")
def heart(phantom: Phantom, engine: Engine) -> Reconstruction:
    from dmcvr.reconstruction import reconstruct

    return reconstruct(phantom.stack, method="linear", spacing_mm=2.5, engine=engine, complete="off")


@pytest.fixture(scope="session")
def scene(heart: Reconstruction) -> Scene:
    from dmcvr.report.scene import make_scene

    return make_scene(heart)
