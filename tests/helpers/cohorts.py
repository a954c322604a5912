"""Made-up rows of a cohort's ledger: numbers as a distribution has them, flags, failures; no exam behind them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from dmcvr.cohort.ledger import Row

#: 1 by 1 pixels of WebP.
THUMBNAIL = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="

#: Mean and SD of what is made up.
QUANTITIES = {
    "lv_ef_percent": (60.0, 7.0, "%"),
    "lv_edv_ml": (150.0, 30.0, "mL"),
    "lv_esv_ml": (60.0, 15.0, "mL"),
    "lv_mass_g": (120.0, 20.0, "g"),
    "rv_ef_percent": (55.0, 7.0, "%"),
    "rv_edv_ml": (160.0, 30.0, "mL"),
    "rv_esv_ml": (70.0, 15.0, "mL"),
    "gls_midwall_peak_percent": (-18.0, 3.0, "%"),
    "wall_thickness_max_mm": (9.0, 1.5, "mm"),
    "mapse_mm": (13.0, 2.5, "mm"),
}

FLAGS = ("Coverage", "Slice alignment", "Like the training data")


def summary(**values: float | None) -> dict[str, Any]:
    """A summary with these numbers and no flags."""
    measures = {
        name: {"value": value, "unit": QUANTITIES[name][2], "low": None, "high": None} for name, value in values.items()
    }
    return {
        "measures": measures,
        "flags": [],
        "versions": {"dmcvr": "1.0", "weights": "abc"},
        "seconds": 10.0,
        "thumbnail": THUMBNAIL,
        "report": True,
    }


def done(exam: str, found: dict[str, Any]) -> Row:
    return Row(exam, exam, "done", 1, 12.5, 1000, found, "", "")


def failed(exam: str, sentence: str = "No heart is seen in these slices.") -> Row:
    return Row(exam, exam, "failed", 2, 1.0, 0, None, sentence, "no heart")


def made_up(count: int, seed: int = 0, *, fail_every: int = 100, as_large_as_real: bool = False) -> Iterator[Row]:
    """So many rows by name; one in `fail_every` failed, about one in ten of the checks asks for a look.

    `as_large_as_real` gives each measured one as many quantities as an exam has, and a picture of 2 KB of its own.
    """
    random = np.random.default_rng(seed)
    means, sds = (np.array([entry[k] for entry in QUANTITIES.values()], dtype=float) for k in (0, 1))
    for n in range(count):
        exam = f"exam{n:06d}"
        if n % fail_every == fail_every // 2:
            yield failed(exam)
            continue
        values = np.round(means + sds * random.standard_t(5, len(means)), 2)
        found = summary(**dict(zip(QUANTITIES, values.tolist(), strict=True)))
        if as_large_as_real:
            found["measures"] |= _further(random)
            found["thumbnail"] = base64.b64encode(_picture(random)).decode()
        looks = random.random(len(FLAGS)) < 0.1
        found["flags"] = [
            {"name": name, "level": "look", "text": f"{name} of {exam} looks odd."}
            for name, look in zip(FLAGS, looks, strict=True)
            if look
        ]
        yield done(exam, found)


def _further(random: np.random.Generator) -> dict[str, Any]:
    """Quantities beyond `QUANTITIES`, up to the 63 that an exam with ED and ES has."""
    numbers = np.round(random.normal(8, 1, 63 - len(QUANTITIES)), 2).tolist()
    return {
        f"measure_{n}_mm": {"value": value, "unit": "mm", "low": None, "high": None} for n, value in enumerate(numbers)
    }


def _picture(random: np.random.Generator) -> bytes:
    """A WebP of 96 by 96 pixels, like no other."""
    pixels = random.integers(0, 255, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((96, 96)).save(buffer, "WEBP", quality=60, method=0)
    return buffer.getvalue() + bytes(random.integers(0, 255, max(0, 1400 - buffer.tell()), dtype=np.uint8))
