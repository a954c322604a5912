"""A few numbers of what comes out, pinned: a change of the output that nobody meant is noticed here.

One phase of the synthetic exam that `dmcvr demo` reconstructs, on coarse voxels, in float32 everywhere: a search makes
of bfloat16's rounding .7 mL. Half a millilitre is more than the arithmetic of two machines differs by (a quarter), and
less than any change of method makes.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import dmcvr
from dmcvr.exam.stack import SliceStack
from dmcvr.options import MethodName

#: Volumes of LV cavity, LV myocardium and RV cavity in mL, and mean and standard deviation of the image (the synthetic
#: exam's blood is about 1).
GOLDEN: dict[MethodName, tuple[float, float, float, float, float]] = {
    "dmcvr": (227.5, 153.1, 212.4, 0.2494, 0.2495),
    "published": (234.5, 148.9, 213.5, 0.2161, 0.2888),
    "deeprecon": (215.4, 149.8, 207.1, 0.2592, 0.1802),
    "registration": (225.5, 160.8, 212.4, 0.2492, 0.2485),
    "shape": (228.4, 150.7, 210.6, 0.2495, 0.2386),
    "linear": (229.6, 161.1, 215.6, 0.2495, 0.2386),
    "cubic": (228.5, 163.2, 215.2, 0.2500, 0.2468),
    "nearest": (226.5, 153.8, 211.7, 0.2495, 0.2511),
}


@pytest.fixture(scope="module")
def demo() -> SliceStack:
    return dmcvr.make_phantom(0).stack.without_labels().select_phases([0])


@pytest.mark.parametrize("method", GOLDEN)
def test_the_output_is_what_it_was(demo: SliceStack, method: MethodName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    steps = 3 if method in ("published", "deeprecon") else None  # those take long
    heart = dmcvr.reconstruct(demo, method=method, spacing_mm=5.0, device="cpu", steps=steps)
    volumes = heart.measures["dense_volume"]["phases"]["ED"]
    found = [volumes[f"{name}_ml"] for name in ("lv_cavity", "lv_myocardium", "rv_cavity")]
    np.testing.assert_allclose(found, GOLDEN[method][:3], atol=0.5)
    np.testing.assert_allclose((heart.image.data.mean(), heart.image.data.std()), GOLDEN[method][3:], atol=0.001)
