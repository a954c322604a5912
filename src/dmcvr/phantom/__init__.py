"""Synthetic exams of a beating heart with exact 3D truth."""

from dmcvr.phantom.exam import Phantom, make_phantom
from dmcvr.phantom.heart import Heart
from dmcvr.phantom.scan import Scan
from dmcvr.phantom.shape import HeartShape
from dmcvr.phantom.write import write_phantom

__all__ = ["Heart", "HeartShape", "Phantom", "Scan", "make_phantom", "write_phantom"]
