"""What a cohort keeps of an exam."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dmcvr.cohort.summary import quantities, summarise
from dmcvr.cohort.thumbnail import MOST_BYTES, SIZE, thumbnail
from dmcvr.exam.volume import Volume
from dmcvr.fill.engine import Engine
from dmcvr.labels.colours import COLOURS
from dmcvr.phantom import Phantom
from dmcvr.reconstruction import Reconstruction, reconstruct


@pytest.fixture(scope="module")
def heart(phantom: Phantom, engine: Engine) -> Reconstruction:
    return reconstruct(phantom.stack, method="linear", spacing_mm=3.0, engine=engine)


def test_numbers_are_those_of_the_record_with_their_unit(heart: Reconstruction) -> None:
    found = json.loads(json.dumps(summarise(heart, None)))
    measures = found["measures"]
    both = heart.measures
    assert measures["lv_ef_percent"]["value"] == both["dense_volume"]["lv"]["ef_percent"]
    assert measures["lv_edv_by_slices_ml"]["value"] == both["slice_summation"]["lv"]["edv_ml"]
    assert measures["lv_mass_es_g"]["value"] == both["consistency"]["mass_es_g"]
    assert measures["wall_thickness_aha_5_mm"]["value"] == both["wall_thickness"]["segments_mm"]["5"]
    assert measures["gls_midwall_peak_percent"]["value"] == both["strain"]["gls_midwall_peak_percent"]
    assert measures["mapse_mm"]["value"] == both["valve_planes"]["mapse_mm"]
    units = {name: entry["unit"] for name, entry in measures.items()}
    assert units["lv_edv_ml"] == units["lv_edv_by_slices_ml"] == "mL"
    assert units["lv_mass_g_per_m2"] == "g/m2"
    assert units["lv_ef_gap_points"] == "points"
    assert all(units.values())
    assert found["versions"]["dmcvr"] == heart.run["dmcvr"]
    assert heart.run["weights_sha256"].startswith(found["versions"]["weights"])
    assert found["seconds"] == pytest.approx(sum(heart.run["seconds"].values()), abs=1e-3)


def test_only_what_is_not_fine_is_kept_of_the_checks(heart: Reconstruction) -> None:
    flags = [{"name": level, "level": level, "text": ""} for level in ("fine", "look", "unknown")]
    found = summarise(replace(heart, run=heart.run | {"flags": flags}), None)
    assert [flag["level"] for flag in found["flags"]] == ["look", "unknown"]


def test_a_page_is_known_where_there_is_one(heart: Reconstruction, tmp_path: Path) -> None:
    assert summarise(heart, tmp_path)["report"] is False
    (tmp_path / "report.html").touch()
    assert summarise(heart, tmp_path)["report"] is True


@pytest.mark.parametrize(
    ("phase", "volume", "mass"), [("ED", "lv_edv_ml", "lv_mass_g"), ("ES", "lv_esv_ml", "lv_mass_es_g")]
)
def test_an_exam_of_one_phase_has_its_volumes(heart: Reconstruction, phase: str, volume: str, mass: str) -> None:
    one = {
        key: {"phases": {phase: heart.measures[key]["phases"][phase]}} for key in ("dense_volume", "slice_summation")
    }
    both = heart.measures["consistency"] | {"mass_es_g": None, "lv": None, "rv": None}
    found = dict(quantities(heart.measures | one | {"consistency": both, "strain": None, "valve_planes": None}))
    volumes = heart.measures["dense_volume"]["phases"][phase]
    assert (found[volume], found[mass]) == (volumes["lv_cavity_ml"], volumes["lv_mass_g"])
    assert "lv_ef_percent" not in found
    assert found["grs_peak_percent"] is None


def test_the_thumbnail_shows_the_heart_with_its_outlines(heart: Reconstruction) -> None:
    found = thumbnail(heart)
    assert found is not None
    raw = base64.b64decode(found)
    assert len(raw) <= MOST_BYTES
    pixels = np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")).astype(int)
    assert pixels.shape == (SIZE, SIZE, 3)
    tint = pixels - pixels.mean(axis=2, keepdims=True)  # WebP halves the colours' grid: lines keep their tint, paler
    strong = np.linalg.norm(tint, axis=2)
    where = {}
    for label, colour in COLOURS.items():
        own = np.array(colour) - np.mean(colour)
        where[label] = np.argwhere((strong > 20) & (tint @ own > 0.9 * strong * np.linalg.norm(own)))
        assert len(where[label]) > 20, label
    assert where[3][:, 1].mean() < where[1][:, 1].mean()  # the RV lies on the picture's left
    none = replace(heart, labels=Volume(np.zeros_like(heart.labels.data), heart.labels.affine))
    assert thumbnail(none) is None
