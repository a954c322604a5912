"""The Dice that a heart's labels would have if someone drew them by hand, foretold from exams that looked alike.

Exams whose truth is known, good ones and ones made bad on purpose (`dmcvr.evaluate.spoil`), are remembered by their
signs (`dmcvr.quality.signs`) and by the Dice that the segmenter reached in them. A new exam's is the mean of theirs,
weighted by how alike they are, and its standard deviation is theirs: kernel regression (Nadaraya 1964; Watson 1964),
the regression that reverse classification accuracy (Valindria et al., IEEE TMI 2017, 36:1597) is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from dmcvr.exam.stack import LABEL_NAMES

FILE = Path(__file__).parent / "remembered.npz"

#: Exams so many steps away count by 0.6; nearer ones more.
WIDTH = 1.0

#: Labels with a smaller Dice have failed.
FAILED = 0.7

#: A Dice is never foretold more surely than this (SD).
SUREST = 0.02


@dataclass(frozen=True)
class Expected:
    """Of one structure: the Dice foretold, its standard deviation, and the probability that it is below `FAILED`."""

    dice: float
    sd: float
    failing: float


@dataclass(frozen=True)
class Remembered:
    """M exams with a truth: their signs (M, 3, F), and the Dice (M, 3) of LV cavity, myocardium and RV cavity."""

    signs: Float64[np.ndarray, "M 3 F"]
    dice: Float64[np.ndarray, "M 3"]

    @classmethod
    @cache
    def read(cls, path: Path = FILE) -> Remembered:
        with np.load(path, allow_pickle=False) as file:
            return cls(file["signs"].astype(np.float64), file["dice"].astype(np.float64))

    def write(self, path: Path = FILE) -> None:
        np.savez_compressed(path, signs=self.signs.astype(np.float16), dice=self.dice.astype(np.float16))

    def expected(self, signs: Float64[np.ndarray, "3 F"]) -> dict[str, Expected]:
        """By structure, of an exam with these signs (3, F)."""
        found = {}
        for n, name in enumerate(LABEL_NAMES.values()):
            away2 = np.square(self.signs[:, n] - signs[n]).sum(axis=1)
            weight = np.exp(-(away2 - away2.min()) / (2 * WIDTH**2))
            weight /= weight.sum()
            mean = float(weight @ self.dice[:, n])
            sd = float(np.sqrt(weight @ np.square(self.dice[:, n] - mean)))
            found[name] = Expected(mean, max(sd, SUREST), float(weight @ (self.dice[:, n] < FAILED)))
        return found
