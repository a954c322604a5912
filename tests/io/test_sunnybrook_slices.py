"""Pictures of labelled slices: numbers tell slice and phase; what does not fit is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.pictures import pictured as patient
from PIL import Image

from dmcvr.errors import InputError
from dmcvr.io.sunnybrook_slices import (
    SPACING_MM,
    is_sunnybrook_slices,
    list_sunnybrook_slices,
    read_sunnybrook_slices,
)


def test_ed_and_es_are_stacks(tmp_path: Path) -> None:
    folder = patient(tmp_path)
    assert is_sunnybrook_slices(tmp_path)
    assert list_sunnybrook_slices(tmp_path) == [folder]
    ed, es = read_sunnybrook_slices(folder)
    assert (ed.phases, es.phases) == (("ED",), ("ES",))
    np.testing.assert_allclose(np.diff(ed.positions_mm), [SPACING_MM, 2 * SPACING_MM])
    np.testing.assert_allclose(np.diff(es.positions_mm), [2 * SPACING_MM])
    assert ed.images.shape == (1, 3, 48, 40)  # columns of the picture first
    assert ed.labels is not None
    np.testing.assert_array_equal(np.argwhere(ed.labels[0, 0])[[0, -1]], [[20, 10], [31, 21]])
    first = np.asarray(Image.open(folder / "0060.png"))
    np.testing.assert_array_equal(ed.images[0, 0], first.T)


def test_a_phase_of_one_slice_is_no_stack(tmp_path: Path) -> None:
    assert [stack.phases for stack in read_sunnybrook_slices(patient(tmp_path, es=(3,)))] == [("ED",)]


@pytest.mark.misuse
def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    folder = patient(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no labelled slices"):
        read_sunnybrook_slices(tmp_path / "empty")
    (folder / "0060.png").rename(folder / "0061.png")
    with pytest.raises(InputError, match="missing or damaged"):
        read_sunnybrook_slices(folder)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "0060.png")
    with pytest.raises(InputError, match="differ in size"):
        read_sunnybrook_slices(folder)
    (folder / "0060.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="missing or damaged"):
        read_sunnybrook_slices(folder)
