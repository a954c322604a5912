"""Who takes part: contenders made from their names (see `names`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dmcvr.errors import InputError
from dmcvr.evaluate.names import NETWORKS, CompleteBy, SlideBy, parse
from dmcvr.fill.catalogue import make_method
from dmcvr.fill.deeprecon import DeepRecon
from dmcvr.fill.engine import FROM_PRESET, Drawing, Engine
from dmcvr.fill.method import Method
from dmcvr.fill.mixing import Mixing
from dmcvr.model.checkpoint import load_autoencoder, load_generator
from dmcvr.model.weights import WeightsInfo
from dmcvr.options import BUNDLED, MethodName


@dataclass(frozen=True)
class Contender:
    """A method under its name in the tables.

    =======  ==========================================================================================
    plain    something a user has without us
    manual   it is given the neighbours' manual labels; all others see images alone
    slide    whether its slices are slid into one breath-hold first, and by what
    complete whether its apex is closed and its base ends at valves, where 3D hearts are measured, and by what
    calls    network calls for each acquired slice and for each drawn one
    weights  SHA-256 of its own weights file; None for plain methods and for models made in memory
    =======  ==========================================================================================
    """

    name: str
    method: Method
    plain: bool
    manual: bool = False
    slide: SlideBy = "off"
    complete: CompleteBy = "off"
    calls: tuple[int, int] = (0, 0)
    weights: str | None = None


#: Options of the drawing, as `Drawing.of` takes them.
_DRAWING = ("image", *FROM_PRESET)


def weights_of(method: Method) -> WeightsInfo | None:
    """What the file says of the networks that a method draws with; None where there is none."""
    engine: Engine | None = getattr(method, "engine", None)
    if engine is None:
        return None
    return engine.generator_info if isinstance(method, DeepRecon) else engine.info


class Contenders:
    """The contenders of a comparison, in order, and the engine whose segmenter labels every plain image."""

    def __init__(self, names: tuple[str, ...], *, engine: Engine) -> None:
        self._engine = engine
        self._models: dict[str, Engine] = {}
        self._methods: dict[tuple[str, tuple[tuple[str, Any], ...]], Method] = {}
        self.all = tuple(self._contender(name) for name in names)
        if len({contender.name for contender in self.all}) != len(names):
            raise InputError(f"Expected different methods, separated by commas; got {', '.join(names)}.")

    def _contender(self, text: str) -> Contender:
        name, options = parse(text)
        shown = options.pop("as", text)
        manual = options.pop("labels", "segmenter") == "manual"
        slide: SlideBy = options.pop("slide", "off")
        complete: CompleteBy = options.pop("complete", "off")
        key = name, tuple(sorted(options.items()))
        if key not in self._methods:  # the same method with and without manual labels is one
            self._methods[key] = self._method(name, options)
        method = self._methods[key]
        info = weights_of(method)
        weights = info.sha256 if info else None
        calls = getattr(method, "calls", (0, 0))
        return Contender(shown, method, name not in NETWORKS, manual, slide, complete, calls, weights)

    def _method(self, name: MethodName, options: dict[str, Any]) -> Method:
        if name not in NETWORKS:
            return make_method(name, self._engine, **options)
        if name == "deeprecon":
            return make_method(name, self._searching(options))
        own = {key: options[key] for key in ("align", "labeller") if key in options}
        return make_method(name, self._engine_of(name, options), **own)

    def _searching(self, options: dict[str, Any]) -> Engine:
        """The engine with the generator that is asked for, else the bundled one."""
        found = load_generator(options.get("weights", BUNDLED["deeprecon"]))
        engine = replace(self._engine, batch=options.get("batch", self._engine.batch))
        return engine.with_generator(*found, steps=options.get("steps"))

    def _engine_of(self, name: MethodName, options: dict[str, Any]) -> Engine:
        base = self._networks(name, options.get("weights"))
        given = {key: options[key] for key in _DRAWING if key in options}
        mixing = Mixing(options.get("x_T", "slerp"), options.get("guides", "lerp"))
        drawing = Drawing.of(base.model.preset, **vars(base.drawing) | given | {"mixing": mixing})
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
