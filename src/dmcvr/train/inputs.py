"""What work was made from, kept beside it: interrupted or kept work goes on only with the same. No torch here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent

#: What decides how slices are registered, how long-axis views are cut, and how a network is trained on them (reading
#: files decides the data alone).
REGISTRATION = (
    "registration/*.py",
    "geometry/plan.py",
    "labels/distances.py",
    "train/pairs.py",
)
CUTTING = (
    "phantom/*.py",
    "anatomy/*.py",
    *REGISTRATION[:3],
    "geometry/long_axis.py",
    "train/cuts.py",
)
TRAINING = (*REGISTRATION, "train/*.py", "model/*.py", "diffusion/*.py", "fill/mixing.py")


def sources_sha256(sources: tuple[str, ...]) -> str:
    """SHA-256 of these of the package's source files: edited code is another code, whatever its version."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in sources for path in PACKAGE.glob(pattern)}):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def code_version(sources: tuple[str, ...]) -> str:
    """The package's version and a hash of these of its source files."""
    return f"{version('dmcvr')}-{sources_sha256(sources)[:16]}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, in words: "learning rate (0.002 before, 0.001 now) and data"; empty where nothing does.

    Values that tell a person nothing, hashes, are not shown.
    """
    words = []
    for key in dict.fromkeys((*before, *now)):
        old, new = before.get(key), now.get(key)
        if old != new:
            name = key.removesuffix("_sha256").replace("_", " ")
            shown = key != "code" and not key.endswith("_sha256")
            words.append(f"{name} ({old} before, {new} now)" if shown else name)
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)
