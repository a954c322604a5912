"""The page's data: complete, changed only where a row did, and swept."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.cohorts import done, failed, made_up, summary

from dmcvr.cohort.index import spoken
from dmcvr.cohort.index_rows import A_FILE
from dmcvr.cohort.ledger import Row
from dmcvr.cohort.tables import write_tables

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'dmcvr[cohort]'")


def handed_in(out: Path, key: str) -> Any:
    """What a script in index/ gives to the page."""
    text = (out / "index" / f"{key}.js").read_text(encoding="utf-8")
    found = re.fullmatch(r'dmcvr\("([^"]+)",(.*)\);\n', text, re.DOTALL)
    assert found is not None
    assert found[1] == key
    return json.loads(found[2])


def page_data(out: Path) -> dict[str, Any]:
    text = (out / "index.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def decoded(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def row_files(out: Path) -> set[str]:
    return {path.name for path in (out / "index" / "rows").iterdir()}


def test_every_row_is_found_as_the_page_looks_for_it(tmp_path: Path) -> None:
    rows = list(made_up(300))
    write_tables(tmp_path, rows)
    data = page_data(tmp_path)
    base = handed_in(tmp_path, data["base"])
    assert base["exams"] == [row.exam for row in rows]
    starts = decoded(base["starts"], "<u4")
    shown: list[dict[str, Any]] = [entry for name in base["files"] for entry in handed_in(tmp_path, f"rows/{name}")]
    assert len(shown) == len(rows)
    assert [len(handed_in(tmp_path, f"rows/{name}")) for name in base["files"]] == np.diff([*starts, 300]).tolist()
    looks, measured = decoded(base["looks"], "<u1"), decoded(base["measured"], "<u1")
    for n, (row, entry) in enumerate(zip(rows, shown, strict=True)):
        assert measured[n] == (row.state == "done")
        assert entry.get("sentence", "") == row.sentence
        flags = (row.summary or {"flags": []})["flags"]
        assert entry.get("flags", []) == [[flag["level"], flag["name"], flag["text"]] for flag in flags]
        assert looks[n] == len(flags)
        for flag in flags:
            assert n in decoded(base["flags"][flag["name"]], "<u4")
    masses = decoded(handed_in(tmp_path, data["columns"]["lv_mass_g"]["file"]), "<f4")
    expected = [row.summary["measures"]["lv_mass_g"]["value"] if row.summary else np.nan for row in rows]
    np.testing.assert_allclose(masses, expected, rtol=1e-6)


def test_a_new_exam_changes_the_file_that_it_falls_into(tmp_path: Path) -> None:
    rows = list(made_up(400))
    late = rows.pop(123)
    write_tables(tmp_path, rows)
    before = row_files(tmp_path)
    write_tables(tmp_path, [*rows[:123], late, *rows[123:]])
    after = row_files(tmp_path)
    assert len(before) > 400 / A_FILE / 2
    assert len(after - before) <= 2
    assert len(before - after) <= 1  # and what it replaces is gone


def test_a_name_with_anything_in_it_stays_text(tmp_path: Path) -> None:
    evil = '</script><script>alert("1")</script>\u2028'
    found = summary(lv_ef_percent=50.0)
    found["flags"] = [{"name": "Coverage", "level": "look", "text": evil}]
    write_tables(tmp_path, [done(evil, found), failed("b", evil)])
    assert "<script>alert" not in (tmp_path / "index.html").read_text(encoding="utf-8")
    base = handed_in(tmp_path, page_data(tmp_path)["base"])
    assert base["exams"] == [evil, "b"]


def test_the_page_says_how_many_are_to_come(tmp_path: Path) -> None:
    def heading(**options: Any) -> str:
        rows: list[Row] = list(made_up(20))
        write_tables(tmp_path, rows, **options)
        found = re.search("<h1>(.*?)</h1>", (tmp_path / "index.html").read_text(encoding="utf-8"))
        assert found is not None
        return found[1]

    assert heading(of=1000) == "Cohort of 1,000 exams, 20 so far"
    assert heading(of=20) == heading() == "Cohort of 20 exams"


@pytest.mark.parametrize(
    ("quantity", "words"),
    [
        ("lv_ef_percent", "LV EF"),
        ("lv_edv_by_slices_ml", "LV EDV by slices"),
        ("lv_mass_g_per_m2", "LV mass, per body surface"),
        ("lv_mass_es_g", "LV mass at ES"),
        ("gls_midwall_peak_percent", "GLS midwall"),
        ("wall_thickness_aha_12_mm", "Wall thickness AHA segment 12"),
        ("bsa_m2", "Body surface"),
    ],
)
def test_quantities_are_named_as_people_do(quantity: str, words: str) -> None:
    assert spoken(quantity) == words
