"""What run.json says of how well the slices are kept."""

from __future__ import annotations

import numpy as np

from dmcvr.quality.record import agreement


def test_agreement_by_hand() -> None:
    """Off by 0.2 in [-1, 1] is off by 0.1 in [0, 1]: 20 dB."""
    slices = np.random.default_rng(0).uniform(-0.8, 0.8, (2, 32, 32)).astype(np.float32)
    assert agreement(slices, slices) == {"ssim": 1.0, "psnr_db": 120.0}
    assert agreement(slices, slices + np.float32(0.2))["psnr_db"] == 20.0
