"""What a user would do otherwise, behind the interface of `dmcvr.methods`.

`nearest` and `linear` interpolate the image and let the segmenter label the result; `shape` interpolates the
image linearly and the neighbours' labels by signed distances.
"""

from dmcvr.baselines.plain import BASELINES, Linear, Nearest, Shape

__all__ = ["BASELINES", "Linear", "Nearest", "Shape"]
