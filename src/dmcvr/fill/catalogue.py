"""The methods by the names of `dmcvr.options.MethodName`: how each is made for an engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dmcvr.fill.aligned import Aligned
from dmcvr.fill.deeprecon import DeepRecon
from dmcvr.fill.engine import Engine
from dmcvr.fill.method import Method
from dmcvr.fill.plain import Cubic, Linear, Nearest, Shape
from dmcvr.fill.published import Published
from dmcvr.fill.registration import Registration
from dmcvr.labels.segment import Segment
from dmcvr.options import MethodName

#: What a user has without us; all label with the engine's segmenter.
PLAIN: dict[MethodName, Callable[..., Method]] = {
    "nearest": Nearest,
    "linear": Linear,
    "cubic": Cubic,
    "shape": Shape,
    "registration": Registration,
}


def make_method(name: MethodName, engine: Engine, **options: Any) -> Method:
    """A method for an engine; `options` are those of its class.

    "dmcvr" fills as the engine's weights were trained for: aligned, or as published.
    """
    if name in PLAIN:
        segment: Segment = engine.segment
        return PLAIN[name](segment, **options)
    if name == "dmcvr" and engine.aligned is not None:
        return Aligned(engine, **options)
    if name == "deeprecon":
        return DeepRecon(engine, **options)
    return Published(engine, **options)


def stages_of(name: MethodName, engine: Engine) -> list[str]:
    """What the method of this name does for a phase, as its stages are called."""
    if name in PLAIN:
        return ["fill"]
    if name == "dmcvr" and engine.aligned is not None:
        how = engine.drawing
        expected = ["decode"] if how.start_image == "mean" else []
        inverted = ["invert"] if how.temperature else []
        drawing = [] if how.image == "warped" else ["encode", *expected, *inverted, "decode"]
        return ["align", *drawing, "segment"]
    return ["search", "decode"] if name == "deeprecon" else ["invert", "decode", "segment"]
