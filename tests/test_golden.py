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
    "dmcvr": (238.6, 155.0, 202.0, 0.2523, 0.2531),
    "published": (247.9, 149.4, 207.4, 0.2206, 0.2903),
    "registration": (238.1, 157.4, 205.0, 0.2520, 0.2524),
    "shape": (234.6, 151.2, 190.4, 0.2522, 0.2419),
    "linear": (233.8, 157.4, 208.0, 0.2522, 0.2419),
    "cubic": (231.5, 155.5, 197.6, 0.2527, 0.2501),
    "nearest": (227.5, 154.0, 192.8, 0.2522, 0.2548),
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
