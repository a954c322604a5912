"""A few numbers of what comes out, pinned: a change of the output that nobody meant is noticed here.

One phase of the synthetic exam that `dmcvr demo` reconstructs, on coarse voxels. Half a millilitre is more than
bfloat16 and float32 differ by (a quarter), and less than any change of method makes.
"""

from __future__ import annotations

import numpy as np
import pytest

import dmcvr
from dmcvr.exam.stack import SliceStack
from dmcvr.options import MethodName

#: Volumes of LV cavity, LV myocardium and RV cavity in mL, and mean and standard deviation of the image (the synthetic
#: exam's blood is about 1).
GOLDEN: dict[MethodName, tuple[float, float, float, float, float]] = {
    "dmcvr": (208.4, 145.5, 204.8, 0.3935, 0.3459),
    "published": (232.6, 147.0, 229.3, 0.3805, 0.4057),
    "registration": (210.9, 146.5, 205.4, 0.3935, 0.3476),
    "shape": (192.8, 139.0, 183.0, 0.3938, 0.3424),
    "linear": (216.3, 149.9, 208.9, 0.3938, 0.3424),
    "cubic": (225.3, 155.9, 209.0, 0.3939, 0.3477),
    "nearest": (208.8, 146.0, 207.8, 0.3938, 0.3493),
}


@pytest.fixture(scope="module")
def demo() -> SliceStack:
    return dmcvr.make_phantom(0).stack.without_labels().select_phases([0])


@pytest.mark.parametrize("method", GOLDEN)
def test_the_output_is_what_it_was(demo: SliceStack, method: MethodName) -> None:
    heart = dmcvr.reconstruct(demo, method=method, spacing_mm=5.0, device="cpu", steps=3)
    volumes = heart.measures["dense_volume"]["phases"]["ED"]
    found = [volumes[f"{name}_ml"] for name in ("lv_cavity", "lv_myocardium", "rv_cavity")]
    np.testing.assert_allclose(found, GOLDEN[method][:3], atol=0.5)
    np.testing.assert_allclose((heart.image.data.mean(), heart.image.data.std()), GOLDEN[method][3:], atol=0.001)
