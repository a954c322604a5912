"""Synthetic short-axis exams of a beating heart with exact 3D truth."""

from dmcvr.phantom.exam import Phantom, make_phantom, random_shapes
from dmcvr.phantom.scan import Scan
from dmcvr.phantom.shape import HeartShape
from dmcvr.phantom.write import write_phantom

__all__ = ["HeartShape", "Phantom", "Scan", "make_phantom", "random_shapes", "write_phantom"]
