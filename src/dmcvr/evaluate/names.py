"""Contenders by name: methods with options, e.g. `linear`, `dmcvr:steps=10`, `shape:labels=manual`. No torch here.

`as=NAME` names a contender in the tables: `dmcvr:weights=runs/a.safetensors:as=mine`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dmcvr.errors import InputError
from dmcvr.model.presets import StartImage
from dmcvr.options import AlignBy, ImageKind, LabellerUse, MethodName

ALL: tuple[MethodName, ...] = get_args(MethodName)

#: Slices as the scanner has them, or slid into one breath-hold: by what they show, or by long-axis views as well.
SlideBy = Literal["off", "auto", "views"]

#: Hearts as they were filled, or completed: by the short axis alone, or by long-axis views as well.
CompleteBy = Literal["off", "auto", "views"]

#: Methods that have networks of their own; the others are what a user has without us.
NETWORKS: tuple[MethodName, ...] = ("dmcvr", "published", "deeprecon")

#: Those that draw by diffusion.
DIFFUSION: tuple[MethodName, ...] = ("dmcvr", "published")


@dataclass(frozen=True)
class Option:
    """What may follow a method's name: which methods take it, and the values it may have.

    `values` is a list of words, or a function that reads a number.
    """

    of: tuple[MethodName, ...]
    values: tuple[str, ...] | Callable[[str, str], Any]

    def read(self, key: str, text: str) -> Any:
        """The value; raises `InputError`."""
        if callable(self.values):
            return self.values(key, text)
        if text not in self.values:
            raise InputError(f"Expected {key}={'|'.join(self.values)}; got {text!r}.")
        return text


def _whole(key: str, text: str) -> int:
    if not text.isdecimal() or int(text) < (key != "corrections"):
        raise InputError(f"Expected a whole number for {key}; got {text!r}.")
    return int(text)


def _share(key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise InputError(f"Expected a number of 0 or more for {key}; got {text!r}.")
    return number


def _text(key: str, text: str) -> str:
    return text


OPTIONS: dict[str, Option] = {
    "labels": Option(ALL, ("segmenter", "manual")),
    "as": Option(ALL, _text),
    "slide": Option(ALL, get_args(SlideBy)),
    "complete": Option(ALL, get_args(CompleteBy)),
    "weights": Option(NETWORKS, _text),
    "steps": Option(NETWORKS, _whole),
    "corrections": Option(DIFFUSION, _whole),
    "batch": Option(NETWORKS, _whole),
    "x_T": Option(DIFFUSION, ("slerp", "lerp", "fresh")),
    "guides": Option(DIFFUSION, ("lerp", "slerp")),
    "image": Option(("dmcvr",), get_args(ImageKind)),
    "temperature": Option(("dmcvr",), _share),
    "start": Option(("dmcvr",), _whole),
    "start_image": Option(("dmcvr",), get_args(StartImage)),
    "texture": Option(("dmcvr",), _share),
    "labeller": Option(("dmcvr",), get_args(LabellerUse)),
    "align": Option(("dmcvr", "registration"), get_args(AlignBy)),
    "detail": Option(("dmcvr", "registration"), _share),
    "carry": Option(("registration",), ("segment", "warp")),
}


def parse(text: str) -> tuple[MethodName, dict[str, Any]]:
    """A contender's method and its options; raises `InputError` for what there is not."""
    given, *parts = text.strip().split(":")
    if given not in ALL:
        raise InputError(f"Unknown method {given!r}: choose among {', '.join(ALL)}.")
    name: MethodName = given
    options: dict[str, Any] = {}
    for part in parts:
        key, _, value = part.partition("=")
        option = OPTIONS.get(key)
        if option is None or name not in option.of or not value:
            known = ", ".join(key for key, option in OPTIONS.items() if name in option.of)
            raise InputError(f"Unknown option {part!r} in {text!r}: {name} takes {known}.")
        options[key] = option.read(key, value)
    return name, options


def untouched_by_networks(text: str) -> bool:
    """Whether a contender draws and labels without any network: a plain method that is given manual labels."""
    name, options = parse(text)
    return name not in NETWORKS and options.get("labels") == "manual"
