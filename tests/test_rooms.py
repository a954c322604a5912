"""Imports point one way, along the data: no module looks into a later room, and none at itself through others."""

from __future__ import annotations

from pathlib import Path

import architecture
import pytest

#: The top folder is short: rooms, the package's face, and not more modules than this.
MOST_AT_THE_TOP = 7


def test_the_rooms_are_in_order() -> None:
    assert architecture.complaints() == []


def test_the_top_folder_is_short() -> None:
    top = [path.stem for path in architecture.SOURCE.glob("*.py") if path.stem not in ("__init__", "__main__")]
    assert len(top) <= MOST_AT_THE_TOP


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("from dmcvr.exam.stack import SliceStack", None),
        ("from dmcvr.fill.engine import Engine", "dmcvr.geometry.plan (line 1) imports dmcvr.fill.engine"),
        ("def f():\n    import dmcvr.cli.main", "dmcvr.geometry.plan (line 2) imports dmcvr.cli.main"),
        (
            "if TYPE_CHECKING:\n    from dmcvr.fill import engine",
            "dmcvr.geometry.plan (line 2) imports dmcvr.fill.engine",
        ),
        ("from ..fill import engine", "dmcvr.geometry.plan (line 1) imports dmcvr.fill.engine"),
        ("import dmcvr", "dmcvr.geometry.plan (line 1) imports dmcvr: against the order"),
        ("from dmcvr.geometry import frame", "a circle: dmcvr.geometry.frame, dmcvr.geometry.plan"),
    ],
)
def test_a_fault_would_be_found(tmp_path: Path, code: str, complaint: str | None) -> None:
    files = {
        "__init__": "from dmcvr.cli.main import main",
        "exam/stack": "",
        "geometry/plan": code,
        "geometry/frame": "from dmcvr.geometry.plan import Plan",
        "fill/engine": "from dmcvr.geometry.plan import Plan",
        "cli/main": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    found = [text for text in architecture.complaints(tmp_path) if "a circle: dmcvr.fill" not in text]
    assert [complaint in text for text in found] == ([] if complaint is None else [True])


def test_a_module_without_a_room_is_found(tmp_path: Path) -> None:
    (tmp_path / "attic.py").write_text("")
    assert architecture.complaints(tmp_path) == ["dmcvr.attic is in no room: add one to ROOMS, or move it"]
