"""Shared exams and models. Real data is read from DMCVR_DATA, else from ../shared/data; its tests skip without it."""

from __future__ import annotations

import os

# Tests run side by side, one thread each; programs that they start take this over.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
import torch

from dmcvr.exam.stack import SliceStack
from dmcvr.fill.engine import Engine
from dmcvr.phantom import Phantom, make_phantom

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("DMCVR_DATA", ROOT.parent / "shared" / "data"))

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


#: A test that uses this fixture has this marker.
NEEDS = {"data": "data", "chromium": "browser"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests say by their fixtures what they need."""
    for item in items:
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
    return make_phantom(1)


@pytest.fixture(scope="session")
def short(phantom: Phantom) -> SliceStack:
    """One phase of the phantom, unlabelled, without its last slices."""
    return phantom.stack.without_labels().select_phases([0]).select_slices(list(range(9)))


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The bundled model, with few steps."""
    return Engine.load(device="cpu", steps=3)
