"""From the sparse short-axis slices of a cardiac MRI exam to a 3D heart.

>>> import dmcvr
>>> heart = dmcvr.reconstruct("patient001_frame01.nii.gz")
>>> heart.save("out")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dmcvr.errors import InputError
    from dmcvr.io.read import read_exam
    from dmcvr.phantom import make_phantom
    from dmcvr.reconstruction import Reconstruction, reconstruct
    from dmcvr.stack import Patient, SliceStack
    from dmcvr.volume import Volume

__all__ = [
    "InputError",
    "Patient",
    "Reconstruction",
    "SliceStack",
    "Volume",
    "make_phantom",
    "read_exam",
    "reconstruct",
]

_HOME = {
    "InputError": "dmcvr.errors",
    "Patient": "dmcvr.stack",
    "Reconstruction": "dmcvr.reconstruction",
    "SliceStack": "dmcvr.stack",
    "Volume": "dmcvr.volume",
    "make_phantom": "dmcvr.phantom",
    "read_exam": "dmcvr.io.read",
    "reconstruct": "dmcvr.reconstruction",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import dmcvr` and the command line's listings stay instant."""
    if name not in _HOME:
        raise AttributeError(f"module 'dmcvr' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
