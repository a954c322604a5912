"""Who trains and who is held out: always by patient, always written to a file."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError


@dataclass(frozen=True)
class Split:
    """Patient names. `development` is for choosing between variants, `validation` for reported numbers."""

    train: tuple[str, ...]
    development: tuple[str, ...]
    validation: tuple[str, ...]

    @classmethod
    def stratified(cls, groups: dict[str, str], *, seed: int = 0, validation: float = 0.2) -> Split:
        """A random split of {patient: group} with each group's share held out; at least one patient trains."""
        rng = np.random.default_rng(seed)
        by_group: dict[str, list[str]] = defaultdict(list)
        for name in sorted(groups):
            by_group[groups[name]].append(name)
        held = [
            name
            for group in sorted(by_group)
            for name in rng.permutation(by_group[group])[: round(validation * len(by_group[group]))].tolist()
        ]
        if not held and len(groups) > 1:
            held = [sorted(groups)[-1]]
        return cls(tuple(sorted(set(groups) - set(held))), (), tuple(sorted(held)))

    @classmethod
    def read(cls, path: Path) -> Split:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{key: tuple(record[key]) for key in ("train", "development", "validation")})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is not a split file: expected JSON with the lists train, development and validation."
            ) from error

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


#: The split behind the bundled weights.
BUNDLED_SPLIT = Path(__file__).parent.parent / "weights" / "split.json"
