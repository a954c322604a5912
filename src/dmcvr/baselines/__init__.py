"""What a user would do otherwise, behind the interface of `dmcvr.methods`.

`nearest`, `linear`, `cubic` and `registration` make an image and let the segmenter label it; `shape` interpolates
the image linearly and the neighbours' labels by signed distances. Labels that are given are interpolated by all of
them, each in its own way. A method that optimises for each case fits as well: it is called once a phase with all
acquired slices, and may take its time.
"""

from collections.abc import Callable

from dmcvr.baselines.plain import Cubic, Linear, Nearest, Shape
from dmcvr.baselines.registration import Registration
from dmcvr.methods import Method, Segment

#: By the name the command line knows them by.
BASELINES: dict[str, Callable[[Segment], Method]] = {
    "nearest": Nearest,
    "linear": Linear,
    "cubic": Cubic,
    "shape": Shape,
    "registration": Registration,
}

__all__ = ["BASELINES", "Cubic", "Linear", "Nearest", "Registration", "Shape"]
