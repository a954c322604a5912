"""Long-axis views make a heart's shape: in a whole reconstruction, and of contenders that are given views."""

from __future__ import annotations

import numpy as np
import pytest

from dmcvr import reconstruct
from dmcvr.errors import InputError
from dmcvr.evaluate.names import parse
from dmcvr.fill.engine import Engine
from dmcvr.phantom import Scan, make_phantom
from dmcvr.quality.metrics import dice


def test_a_contender_may_be_completed_by_views() -> None:
    assert parse("shape:complete=views") == ("shape", {"complete": "views"})
    with pytest.raises(InputError, match="complete=off|auto|views"):
        parse("shape:complete=all")


@pytest.mark.slow
def test_an_exam_with_views_is_nearer_to_the_truth_than_without(engine: Engine) -> None:
    exam = make_phantom(7, Scan(spacing_mm=12.0, shift_mm=2.0, long_axis=True))
    stack = exam.stack.without_labels().select_phases([1])
    scores = {}
    for name, views in (("alone", ()), ("views", exam.views)):
        heart = reconstruct(stack, engine=engine, method="shape", complete="auto", spacing_mm=2.0, views=views)
        truth = exam.labels_on(heart.labels.affine, heart.labels.data.shape[1:], 1)
        scores[name] = np.array([dice(heart.labels.data[0] == c, truth == c) for c in (1, 2, 3)])
        assert ("views_seen" in heart.run) == (name == "views")
    assert (scores["views"] > scores["alone"]).all()
    assert scores["views"][0] > 0.9
    assert {one["name"] for one in heart.run["views_seen"]["used"]} >= {"2-chamber", "4-chamber"}
    plain = reconstruct(stack, engine=engine, method="shape", complete="off", spacing_mm=2.0, views=exam.views)
    assert "views_seen" not in plain.run
