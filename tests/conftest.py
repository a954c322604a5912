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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever takes a real exam or a browser carries the marker, so that it can be chosen by it."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "data" in names:
            item.add_marker("data")
        if "chromium" in names:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT

#: A test that uses this fixture has this marker.
NEEDS = {"data": "data", "chromium": "browser"}


def pytest_configure(config: pytest.Config) -> None:
    """Beside other processes, one thread each: they would only wait for each other."""
    if hasattr(config, "workerinput"):
        torch.set_num_threads(1)
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the commands that tests start


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
