"""What an evaluation was made from, as one fingerprint; and its finished cases, kept so that it goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dmcvr.evaluate.case import Findings, Picture
from dmcvr.train.inputs import sources_sha256

#: The libraries that pictures and scores are computed by.
LIBRARIES = ("numpy", "scipy", "torch", "SimpleITK", "scikit-image", "monai", "torchmetrics")


def code_sha256() -> str:
    """SHA-256 of the package's source and of what it is calibrated by: edited, it is another, whatever its version."""
    return sources_sha256(("**/*.py", "quality/*.json", "quality/*.npz"))


def versions() -> dict[str, str]:
    """The package's version and those of the libraries it computes with."""
    return {name: version(name) for name in ("dmcvr", *LIBRARIES)}


def fingerprint(run: dict[str, Any]) -> str:
    """SHA-256 of a run's record: data, split, settings, weights, code and versions."""
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()


class Parts:
    """The findings of finished cases beside the output, in a folder named after the run's fingerprint.

    A run from anything else has another folder: what is in this one fits it. Without an output nothing is kept.
    """

    def __init__(self, output: Path | None, run_fingerprint: str) -> None:
        self._folder = output and output.absolute().parent / f".{output.name}-{run_fingerprint[:16]}.partial"

    def load(self, number: int) -> Findings | None:
        """The findings of the run's case of this number, if it is finished."""
        if self._folder is None or not (self._folder / f"{number}.json").is_file():
            return None
        record = json.loads((self._folder / f"{number}.json").read_text(encoding="utf-8"))
        with np.load(self._folder / f"{number}.npz", allow_pickle=False) as arrays:
            pictures = [
                Picture(p["title"], p["score"], tuple(p["names"]), arrays[f"images{n}"], arrays[f"labels{n}"])
                for n, p in enumerate(record["pictures"])
            ]
        return Findings(record["rows"], pictures)

    def save(self, number: int, findings: Findings) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"images{n}": p.images for n, p in enumerate(findings.pictures)}
        arrays |= {f"labels{n}": p.labels for n, p in enumerate(findings.pictures)}
        np.savez_compressed(self._folder / f"{number}.npz", **arrays)  # type: ignore[arg-type]
        pictures = [{"title": p.title, "score": p.score, "names": p.names} for p in findings.pictures]
        partial = self._folder / f"{number}.json.partial"
        partial.write_text(json.dumps({"rows": findings.rows, "pictures": pictures}), encoding="utf-8")
        partial.replace(partial.with_suffix(""))  # last: a part is whole when its .json is there

    def remove(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
