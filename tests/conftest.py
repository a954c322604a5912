"""Shared exams and models. Real data is read from DMCVR_DATA, else from ../shared/data; its tests skip without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dmcvr.fill.engine import Engine
from dmcvr.phantom import Phantom, make_phantom

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    folder = Path(os.environ.get("DMCVR_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "acdc").is_dir():
        pytest.skip(f"no real exams in {folder}: set DMCVR_DATA to a folder that holds acdc/")
    return folder


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return make_phantom(1)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The bundled model, with few steps."""
    return Engine.load(device="cpu", steps=4)
