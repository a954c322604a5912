"""The documentation's Python runs as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tutorial.md").read_text(), re.S)
    assert len(snippets) >= 7
    space: dict[str, object] = {}
    for snippet in snippets:
        exec(snippet, space)
    assert (tmp_path / "out" / "image.nii.gz").is_file()


def test_readme_s_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
    for path in re.findall(r"`((?:src/)?[a-z_/]+\.py)`", text):
        assert (ROOT / path).exists() or (ROOT / "src" / "dmcvr" / path).exists(), path
