"""Who trains and who is held out: always by patient, always written to a file, one scan always on one side."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dmcvr.errors import InputError

PARTS = ("train", "development", "validation")


@dataclass(frozen=True)
class Split:
    """Patient names. `development` is for choosing between variants, `validation` for reported numbers.

    Raises `InputError` for a patient in two parts.
    """

    train: tuple[str, ...]
    development: tuple[str, ...]
    validation: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, parts in self._parts().items():
            if len(parts) > 1:
                raise InputError(f"The split names {name} more than once ({', '.join(parts)}): keep it in one part.")

    @property
    def names(self) -> tuple[str, ...]:
        """All patients."""
        return (*self.train, *self.development, *self.validation)

    @property
    def sha256(self) -> str:
        """Of who is where; the order does not count."""
        record = {part: sorted(getattr(self, part)) for part in PARTS}
        return hashlib.sha256(json.dumps(record).encode()).hexdigest()

    @classmethod
    def stratified(
        cls,
        groups: dict[str, str],
        *,
        seed: int = 0,
        validation: float = 0.2,
        twins: tuple[tuple[str, ...], ...] = (),
    ) -> Split:
        """A random split of {patient: group} with each group's share held out; at least one patient trains.

        `twins` (see `dmcvr.train.twins`) are drawn as one patient and stay together.
        """
        rng = np.random.default_rng(seed)
        first = {name: min(same) for same in twins for name in same}
        by_group: dict[str, list[str]] = defaultdict(list)
        for name in sorted(groups):
            if first.get(name, name) == name:
                by_group[groups[name]].append(name)
        held = [
            name
            for group in sorted(by_group)
            for name in rng.permutation(by_group[group])[: round(validation * len(by_group[group]))].tolist()
        ]
        distinct = sorted(name for names in by_group.values() for name in names)
        if not held and len(distinct) > 1:
            held = distinct[-1:]
        kept_out = {name for name in groups if first.get(name, name) in held}
        return cls(tuple(sorted(set(groups) - kept_out)), (), tuple(sorted(kept_out)))

    @classmethod
    def read(cls, path: Path) -> Split:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            parts = {key: tuple(record[key]) for key in PARTS}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is not a split file: expected JSON with the lists train, development and validation."
            ) from error
        return cls(**parts)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def check_whole(self, twins: tuple[tuple[str, ...], ...]) -> None:
        """Raise `InputError` where patients that are one scan (see `dmcvr.train.twins`) are in different parts."""
        part_of = {name: parts[0] for name, parts in self._parts().items()}
        for same in twins:
            found = {name: part_of[name] for name in same if name in part_of}
            if len(set(found.values())) > 1:
                named = " and ".join(f"{name} ({part})" for name, part in found.items())
                raise InputError(
                    f"The split parts one scan: {named} show the same slices. Move them into one part of the split, or "
                    "leave all but one out."
                )

    def _parts(self) -> dict[str, list[str]]:
        parts: dict[str, list[str]] = defaultdict(list)
        for part in PARTS:
            for name in getattr(self, part):
                parts[name].append(part)
        return parts


#: The split behind the bundled weights.
BUNDLED_SPLIT = Path(__file__).parent.parent / "weights" / "split.json"
