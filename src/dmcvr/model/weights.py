"""The bundled weights, and how a weights file is described. No torch here: a listing is instant.

A weights file is a safetensors file whose metadata holds one JSON record under "dmcvr": its kind, the preset with its
sizes, and the trainings that followed each other, the first one first ("stages").
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmcvr.errors import InputError
from dmcvr.model.presets import Preset, preset_from_dict

FOLDER = Path(__file__).parent.parent / "weights"

#: The bundled network that tells how a picture lies, whatever fills the gaps.
ORIENTER = "orienter"

#: The bundled network that labels long-axis views.
VIEWS = "views"

#: No header of a safetensors file is longer, in bytes (as its library has it).
MAX_HEADER = 100_000_000

#: What a file may hold: a whole model; E_mor and its head; what labels acquired slices, or
#: long-axis views; what tells how slices lie; DeepRecon's generator.
KIND_WORDS = {
    "autoencoder": "an autoencoder",
    "morphology": "a morphology network",
    "segmenter": "a segmenter",
    "views": "a segmenter of long-axis views",
    "orienter": "an orienter",
    "generator": "a generator",
}


@dataclass(frozen=True)
class WeightsInfo:
    """A weights file without its tensors. `kind` is one of `KIND_WORDS`.

    `stages` are the records of the trainings behind it, the first one first (written by `dmcvr.train.run.train`).
    """

    path: Path
    kind: str
    preset: Preset
    stages: tuple[dict[str, Any], ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def training(self) -> dict[str, Any]:
        """The last of them."""
        return self.stages[-1]

    @property
    def window(self) -> tuple[float, float] | None:
        """The grey values that were black and white in training; None: each heart's own."""
        found = self.training.get("window")
        return None if found is None else (float(found[0]), float(found[1]))

    @property
    def history(self) -> str:
        """All of them in a line: "segmenter 3,266 steps in 24 min -> ..."."""
        parts = [f"{stage['stage']} {stage['steps']:,} steps in {stage['minutes']:.0f} min" for stage in self.stages]
        seeds = ", ".join(dict.fromkeys(str(stage["seed"]) for stage in self.stages))
        last = self.training
        return f"{' -> '.join(parts)}; seed {seeds}; {last['data']} ({last['patients']} patients)"


def describe(path: Path) -> WeightsInfo:
    """Read a weights file's record; raises `InputError` where it is not ours."""
    if not path.is_file():
        raise InputError(f"There are no weights at {path}: give a .safetensors file, or the name of a bundled one.")
    try:
        record = json.loads(_metadata(path)["dmcvr"])
        return WeightsInfo(path, record["kind"], preset_from_dict(record["preset"]), tuple(record["stages"]))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a dmcvr weights file ({type(error).__name__}).") from error


def _metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file: its length in eight bytes, a JSON header, and then the tensors, all of them.

    The library reads it as well, and imports numpy for that.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, MAX_HEADER):
            raise ValueError
        header = json.loads(file.read(length))
    end = max((tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"), default=0)
    if end != size - 8 - length:
        raise ValueError
    return dict(header["__metadata__"])


def require_kind(info: WeightsInfo, kind: str, advice: str | None = None) -> WeightsInfo:
    """The same; raises `InputError` where the file holds another kind, with advice on what to do."""
    if info.kind != kind:
        advice = f": train it with dmcvr train {kind}" if advice is None else advice
        raise InputError(
            f"{info.path} holds {KIND_WORDS.get(info.kind, info.kind)}; expected {KIND_WORDS[kind]}{advice}."
        )
    return info


def bundled() -> list[WeightsInfo]:
    """The weights inside the package."""
    return [describe(path) for path in sorted(FOLDER.glob("*.safetensors"))]


def is_bundled(info: WeightsInfo | None) -> bool:
    """Whether these weights are the package's own."""
    return info is not None and info.path.parent == FOLDER


def find(name: str | Path) -> Path:
    """A bundled name ("aligned") or a file's path to the path of a weights file."""
    inside = FOLDER / f"{name}.safetensors"
    return inside if inside.is_file() else Path(name)
