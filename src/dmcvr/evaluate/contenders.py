"""Who takes part: methods by name, with options, e.g. `linear`, `dmcvr:steps=10`, `shape:labels=manual`.

`as=NAME` names a contender in the tables: `dmcvr:weights=runs/a.safetensors:as=mine`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_args

from dmcvr.errors import InputError
from dmcvr.fill.aligned import LabellerUse
from dmcvr.fill.catalogue import PLAIN, make_method
from dmcvr.fill.engine import Drawing, Engine
from dmcvr.fill.method import Method
from dmcvr.fill.mixing import Mixing
from dmcvr.model.checkpoint import load_autoencoder
from dmcvr.options import BUNDLED, ImageKind, MethodName


@dataclass(frozen=True)
class Contender:
    """A method under its name in the tables.

    `plain`: something a user has without us. `manual`: it is given the neighbours' manual labels; all others
    see images alone. `calls`: network calls for each acquired slice and for each drawn one.
    """

    name: str
    method: Method
    plain: bool
    manual: bool = False
    calls: tuple[int, int] = (0, 0)


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


ALL: tuple[MethodName, ...] = get_args(MethodName)
NETWORKS: tuple[MethodName, ...] = ("dmcvr", "published")

OPTIONS: dict[str, Option] = {
    "labels": Option(ALL, ("segmenter", "manual")),
    "as": Option(ALL, _text),
    "weights": Option(NETWORKS, _text),
    "steps": Option(NETWORKS, _whole),
    "corrections": Option(NETWORKS, _whole),
    "batch": Option(NETWORKS, _whole),
    "x_T": Option(NETWORKS, ("slerp", "lerp", "fresh")),
    "guides": Option(NETWORKS, ("lerp", "slerp")),
    "image": Option(("dmcvr",), get_args(ImageKind)),
    "temperature": Option(("dmcvr",), _share),
    "start": Option(("dmcvr",), _whole),
    "labeller": Option(("dmcvr",), get_args(LabellerUse)),
    "align": Option(("dmcvr", "registration"), ("labels", "grey")),
    "detail": Option(("dmcvr", "registration"), _share),
    "carry": Option(("registration",), ("segment", "warp")),
}

#: Options of the drawing, as `Drawing.of` takes them.
_DRAWING = ("steps", "corrections", "image", "temperature", "start", "detail")


class Contenders:
    """The contenders of a comparison, in order, and the engine whose segmenter labels every plain image."""

    def __init__(self, names: tuple[str, ...], *, engine: Engine) -> None:
        self._engine = engine
        self._models: dict[str, Engine] = {}
        self._methods: dict[tuple[str, tuple[tuple[str, Any], ...]], Method] = {}
        self.all = tuple(self._contender(name) for name in names)
        if len({contender.name for contender in self.all}) != len(names) or not names:
            raise InputError(f"Expected different methods, separated by commas; got {', '.join(names) or 'none'}.")

    def _contender(self, text: str) -> Contender:
        name, options = parse(text)
        shown = options.pop("as", text)
        manual = options.pop("labels", "segmenter") == "manual"
        key = name, tuple(sorted(options.items()))
        if key not in self._methods:  # the same method with and without manual labels is one
            self._methods[key] = self._method(name, options)
        method = self._methods[key]
        return Contender(shown, method, name in PLAIN, manual, getattr(method, "calls", (0, 0)))

    def _method(self, name: MethodName, options: dict[str, Any]) -> Method:
        if name in PLAIN:
            return make_method(name, self._engine, **options)
        own = {key: options[key] for key in ("align", "labeller") if key in options}
        return make_method(name, self._engine_of(name, options), **own)

    def _engine_of(self, name: MethodName, options: dict[str, Any]) -> Engine:
        base = self._networks(name, options.get("weights"))
        given = {key: options[key] for key in _DRAWING if key in options}
        mixing = Mixing(options.get("x_T", "slerp"), options.get("guides", "lerp"))
        if base is self._engine:
            drawing = Drawing.of(base.model.preset, **_fields(base.drawing) | given | {"mixing": mixing})
        else:  # other weights are drawn as their own preset says
            drawing = Drawing.of(base.model.preset, **given, mixing=mixing)
        return replace(base, drawing=drawing, batch=options.get("batch", base.batch))

    def _networks(self, name: MethodName, weights: str | None) -> Engine:
        """The engine of the weights that are asked for, else of those that the method was trained as."""
        base = self._engine
        if weights is None:
            if name != "published" or base.aligned is None:
                return base
            weights = BUNDLED["published"]
        if weights not in self._models:
            model, info = load_autoencoder(weights)
            if model.preset.size != base.model.preset.size:
                raise InputError(
                    f"The weights in {info.path} draw slices of {model.preset.size} px, the others of "
                    f"{base.model.preset.size}: compare weights of one size."
                )
            self._models[weights] = Engine.of(model, device=base.device, precision=base.precision, info=info)
        return self._models[weights]


def _fields(drawing: Drawing) -> dict[str, Any]:
    return {key: getattr(drawing, key) for key in _DRAWING}


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
