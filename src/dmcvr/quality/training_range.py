"""What the weights have seen: ranges of geometry, heart size and contrast over the training exams.

``training_range.json`` holds those of the bundled split's training patients, by the manual labels:
``dmcvr train range --data ACDC --out src/dmcvr/quality/training_range.json`` writes it anew.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, UInt8

FILE = Path(__file__).parent / "training_range.json"

#: An exam may leave the range by this share of its width before that is said.
SLACK = 0.05

#: Each feature in words, with its unit and digits; and in the fewest words, around the number and its unit.
WORDS = {
    "pixel_mm": ("pixel size", "mm", 2, "pixels of {}"),
    "spacing_mm": ("slice distance", "mm", 1, "slices {} apart"),
    "lv_cavity_ml": ("largest LV cavity", "mL", 0, "LV cavity of {}"),
    "lv_myocardium_ml": ("largest LV myocardium", "mL", 0, "LV myocardium of {}"),
    "rv_cavity_ml": ("largest RV cavity", "mL", 0, "RV cavity of {}"),
    "blood": ("grey of the LV cavity", "of black to white", 2, "grey of blood {}"),
    "contrast": ("blood over muscle", "of black to white", 2, "contrast of blood {}"),
}


@dataclass(frozen=True)
class TrainingRange:
    """(least, largest) of each feature over so many patients."""

    patients: int
    ranges: dict[str, tuple[float, float]]

    @classmethod
    def read(cls) -> TrainingRange:
        record = json.loads(FILE.read_text(encoding="utf-8"))
        return cls(record["patients"], {name: (low, high) for name, (low, high) in record["ranges"].items()})

    @classmethod
    def measured(cls, exams: list[dict[str, float]]) -> TrainingRange:
        """Of the features of each training exam."""
        values = {name: np.array([exam[name] for exam in exams if name in exam]) for name in WORDS}
        return cls(len(exams), {name: (float(v.min()), float(v.max())) for name, v in values.items() if len(v)})

    def write(self, path: Path = FILE) -> None:
        record = asdict(self)
        record["ranges"] = {name: [round(value, 4) for value in pair] for name, pair in self.ranges.items()}
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    def outside(self, features: dict[str, float]) -> dict[str, str]:
        """For each feature that leaves its range a phrase with the range, by one in the fewest words."""
        found = {}
        for name, value in features.items():
            low, high = self.ranges[name]
            slack = SLACK * (high - low)
            if not low - slack <= value <= high + slack:
                word, unit, digits, short = WORDS[name]
                amount = f"{value:.{digits}f} {unit}"
                found[short.format(amount)] = f"{word} {amount} ({low:.{digits}f} to {high:.{digits}f})"
        return found


def exam_features(
    images: Float32[np.ndarray, "P N S S"],
    labels: UInt8[np.ndarray, "P N S S"],
    *,
    crop_pixel_mm: float,
    positions_mm: Float64[np.ndarray, " N"],
    pixel_mm: float,
) -> dict[str, float]:
    """What is compared, of normalised slices (P, N, S, S) in [-1, 1] and their labels.

    `crop_pixel_mm` is the pixel of these slices, `pixel_mm` that of the exam. A structure that is absent gives no
    feature.
    """
    spacing_mm = float(np.median(np.diff(positions_mm)))
    found = {"pixel_mm": pixel_mm, "spacing_mm": spacing_mm}
    slab_ml = crop_pixel_mm**2 * spacing_mm / 1000
    for label, name in ((1, "lv_cavity_ml"), (2, "lv_myocardium_ml"), (3, "rv_cavity_ml")):
        largest = float(np.count_nonzero(labels == label, axis=(1, 2, 3)).max() * slab_ml)
        if largest > 0:
            found[name] = largest
    if (labels == 1).any() and (labels == 2).any():
        blood, muscle = ((float(images[labels == label].mean()) + 1) / 2 for label in (1, 2))
        found |= {"blood": blood, "contrast": blood - muscle}
    return found
