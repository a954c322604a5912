"""How much of the world around the heart the networks see. Alone here, so that listings need not load what uses it."""

from __future__ import annotations

#: Side of the square around the heart that the networks see. The largest heart in ACDC spans 152 mm.
ROI_MM = 192.0
