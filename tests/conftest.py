"""Shared exams and models. Real data is read from DMCVR_DATA, else from ../shared/data; its tests skip without it.

Nothing of the package is imported before `pytest --shapes` has had its say.
"""

from __future__ import annotations

import os

# Tests run side by side, one thread each; programs that they start take this over.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from dmcvr.exam.stack import SliceStack
    from dmcvr.fill.engine import Engine
    from dmcvr.phantom import Phantom

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("DMCVR_DATA", ROOT.parent / "shared" / "data"))

#: Rooms whose signatures say shapes.
SHAPED = (
    "exam",
    "labels",
    "geometry",
    "io",
    "registration",
    "diffusion",
    "model",
    "fill",
    "clinical",
    "surface",
    "quality",
)

torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shapes", action="store_true", help="check arrays against the shapes in signatures (jaxtyping)")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("shapes"):
        import helpers.shapes  # noqa: F401  the hook knows it by its name alone

        install_import_hook([f"dmcvr.{room}" for room in SHAPED], "helpers.shapes.checked")


#: A test that uses this fixture has this marker.
NEEDS = {"data": "data", "chromium": "browser"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests say by their fixtures what they need."""
    for item in items:
        if item.config.getoption("shapes") and item.get_closest_marker("misuse"):
            item.add_marker(pytest.mark.skip(reason="the shapes are checked before the package can refuse them"))
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in NEEDS:
                item.add_marker(NEEDS[fixture])


@pytest.fixture(scope="session")
def data() -> Path:
    if not (DATA / "acdc").is_dir():
        pytest.skip(f"no real exams in {DATA}: set DMCVR_DATA to a folder that holds acdc/")
    return DATA


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    from dmcvr.phantom import make_phantom

    return make_phantom(1)


@pytest.fixture(scope="session")
def viewed() -> Phantom:
    """Coarse slices of three phases and four long-axis views, each in its own breath-hold."""
    from dmcvr.phantom import Scan, make_phantom

    scan = Scan(pixel_mm=2.0, size_px=80, spacing_mm=12.0, shift_mm=3.0, phases=3, long_axis=True)
    return make_phantom(7, scan)


@pytest.fixture(scope="session")
def short(phantom: Phantom) -> SliceStack:
    """One phase of the phantom, unlabelled: nine slices from the base to the apex."""
    return phantom.stack.without_labels().select_phases([0]).select_slices(list(range(2, 11)))


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The bundled model, with few steps."""
    from dmcvr.fill.engine import Engine

    return Engine.load(device="cpu")
