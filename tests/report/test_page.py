"""The page: nothing of a header gets through, and it can be written anew."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from dmcvr.errors import InputError
from dmcvr.reconstruction import Reconstruction
from dmcvr.report import page
from dmcvr.report.page import json_safe, report_html, rewrite_report, script_safe

SCRIPT = "<script>alert(1)</script>"


def test_nothing_gets_through_unescaped(heart: Reconstruction) -> None:
    """A script in any text of the records stays text, in the page and in its data."""
    poisoned = replace(
        heart,
        run=heart.run | {"warnings": [SCRIPT], "phases": [SCRIPT, "ES"], "method": SCRIPT},
        measures=json.loads(json.dumps(heart.measures).replace('"ED"', json.dumps(SCRIPT))),
    )
    text = report_html(poisoned)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    opened = re.findall(r"<script[^>]*>", text)
    assert len(opened) == text.count("</script>")


def test_without_the_viewer_there_are_still_pictures(
    heart: Reconstruction, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(page, "VIEWER", tmp_path)
    text = report_html(heart)
    assert "still pictures only" in text
    slices = heart.run["input"]["slices"]
    assert text.count('class="picture"') == 3 + 2 * slices  # a cut three ways, the contact sheet at ED and ES
    assert text.count("data:image/png;base64,") == 2  # the slices as acquired, and the heart in relief
    assert len(text) < 3_000_000


def test_rebuilt_from_the_folder(heart: Reconstruction, tmp_path: Path) -> None:
    folder = heart.save(tmp_path / "out")
    first = (folder / "report.html").read_text(encoding="utf-8")
    (folder / "report.html").unlink()
    assert rewrite_report(folder) == folder / "report.html"
    again = (folder / "report.html").read_text(encoding="utf-8")
    assert len(again) == pytest.approx(len(first), rel=0.02)
    assert not list(folder.glob(".report*"))
    with pytest.raises(InputError, match="no result of dmcvr reconstruct"):
        rewrite_report(tmp_path)
    (folder / "measures.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        rewrite_report(folder)


def test_what_is_not_measured_is_said(heart: Reconstruction) -> None:
    """The heart has no long-axis views."""
    text = report_html(heart)
    assert "MAPSE and longitudinal strain are not measured" in text
    for name in ("longitudinal strain (GLS)", "mitral excursion (MAPSE)"):
        assert name not in text


def test_text_inside_scripts() -> None:
    assert "<" not in json_safe({"a": "</script><!--"})
    assert json.loads(json_safe({"a": "</script>"})) == {"a": "</script>"}
    assert script_safe('"</SCRIPT>" + "<!-- a"') == '"\\x3c/SCRIPT>" + "\\x3c!-- a"'


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((page.VIEWER / "package-lock.json").read_text(encoding="utf-8"))
    assert "node_modules/@niivue/niivue" in lock["packages"]
    assert all("resolved" not in package for package in lock["packages"].values())
