"""Who takes part: methods by name, with options, e.g. `linear`, `dmcvr:steps=10`, `shape:labels=manual`.

`as=NAME` names a contender in the tables: `dmcvr:weights=runs/a.safetensors:as=mine`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmcvr.baselines import BASELINES
from dmcvr.engine import Engine
from dmcvr.errors import InputError
from dmcvr.fill import Dmcvr
from dmcvr.interpolate import Mixing
from dmcvr.methods import Method
from dmcvr.model.checkpoint import load_autoencoder

#: What may follow a name, and what it may be (None: anything).
OPTIONS: dict[str, tuple[str, ...] | None] = {
    "labels": ("segmenter", "manual"),
    "steps": None,
    "corrections": None,
    "batch": None,
    "x_T": ("slerp", "lerp", "fresh"),
    "guides": ("lerp", "slerp"),
    "output": ("sharp", "mean"),
    "temperature": None,
    "start": None,
    "detail": None,
    "way": ("aligned", "published"),
    "align": ("labels", "grey"),
    "weights": None,
    "as": None,
}


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


class Contenders:
    """The contenders of a comparison, in order, and the engine whose segmenter labels every plain image."""

    def __init__(self, names: tuple[str, ...], *, engine: Engine) -> None:
        self._engine = engine
        self._ours: dict[tuple[tuple[str, str], ...], Dmcvr] = {}
        self.all = tuple(self._contender(name) for name in names)
        if len({contender.name for contender in self.all}) != len(names) or not names:
            raise InputError(f"Expected different methods, separated by commas; got {', '.join(names) or 'none'}.")

    def _contender(self, text: str) -> Contender:
        name, options = _parse(text)
        text = options.pop("as", text)
        manual = options.pop("labels", "segmenter") == "manual"
        if name in BASELINES:
            if options:
                raise InputError(f"The method {name} takes no option but labels; got {text!r}.")
            return Contender(text, BASELINES[name](self._engine.segment), plain=True, manual=manual)
        key = tuple(sorted(options.items()))
        if key not in self._ours:
            align = options.get("align", "labels")
            self._ours[key] = Dmcvr(self._engine_of(options), align=align)  # type: ignore[arg-type] # checked by _parse
        ours = self._ours[key]
        return Contender(text, ours, False, manual, ours.engine.calls)

    def _engine_of(self, options: dict[str, str]) -> Engine:
        base = self._engine
        model, info = base.model, base.info
        if "weights" in options:
            model, info = load_autoencoder(Path(options["weights"]))
        given = {key: parse(key, options[key]) for key, parse in _NUMBERS.items() if key in options}
        own = base if model is base.model else None  # other weights have their preset's own

        def number(key: str) -> Any:
            return given.get(key, getattr(own, key, None))

        mixing = Mixing(
            options.get("x_T", base.mixing.stochastic),  # type: ignore[arg-type] # checked by _parse
            options.get("guides", base.mixing.guides),  # type: ignore[arg-type]
        )
        return Engine(
            model,
            device=base.device,
            steps=number("steps"),
            corrections=number("corrections"),
            start=number("start"),
            published=options.get("way", "aligned") == "published",
            batch=number("batch") if "batch" in given else base.batch,
            mixing=mixing,
            output=options.get("output", base.output),  # type: ignore[arg-type]
            temperature=number("temperature"),
            detail=number("detail"),
            info=info,
        )


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


#: Options that are numbers, and how they are read.
_NUMBERS: dict[str, Callable[[str, str], float]] = {
    "steps": _whole,
    "corrections": _whole,
    "batch": _whole,
    "start": _whole,
    "temperature": _share,
    "detail": _share,
}


def _parse(text: str) -> tuple[str, dict[str, str]]:
    name, *parts = text.strip().split(":")
    if name != "dmcvr" and name not in BASELINES:
        raise InputError(f"Unknown method {name!r}: choose among dmcvr, {', '.join(BASELINES)}.")
    options: dict[str, str] = {}
    for part in parts:
        key, _, value = part.partition("=")
        allowed = OPTIONS.get(key, ())
        if key not in OPTIONS or not value or (allowed is not None and value not in allowed):
            known = ", ".join(f"{k}={'|'.join(v) if v else '...'}" for k, v in OPTIONS.items())
            raise InputError(f"Unknown option {part!r} in {text!r}: known are {known}.")
        options[key] = value
    return name, options
