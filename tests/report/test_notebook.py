"""A result in a notebook."""

from __future__ import annotations

from dmcvr.reconstruction import Reconstruction


def test_notebook(heart: Reconstruction) -> None:
    fragment = heart._repr_html_()
    assert fragment.count("<svg") == 3
    assert "LV ejection fraction" in fragment
    assert "not a medical device" in fragment
