"""From the sparse short-axis slices of a cardiac MRI exam to a 3D heart.

>>> import dmcvr
>>> heart = dmcvr.reconstruct("patient001_frame01.nii.gz")
>>> heart.save("out")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from dmcvr.errors import InputError as InputError
    from dmcvr.errors import NoHeartError as NoHeartError
    from dmcvr.exam.stack import Patient as Patient
    from dmcvr.exam.stack import SliceStack as SliceStack
    from dmcvr.exam.view import View as View
    from dmcvr.exam.volume import Volume as Volume
    from dmcvr.io.read import read_exam as read_exam
    from dmcvr.options import Options as Options
    from dmcvr.phantom import make_phantom as make_phantom
    from dmcvr.progress import shown_progress as shown_progress
    from dmcvr.reconstruction import Reconstruction as Reconstruction
    from dmcvr.reconstruction import reconstruct as reconstruct

# Imported on first use, so that `import dmcvr` and the command line's listings stay instant.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "errors": ["InputError", "NoHeartError"],
        "exam.stack": ["Patient", "SliceStack"],
        "exam.view": ["View"],
        "exam.volume": ["Volume"],
        "io.read": ["read_exam"],
        "options": ["Options"],
        "phantom": ["make_phantom"],
        "progress": ["shown_progress"],
        "reconstruction": ["Reconstruction", "reconstruct"],
    },
)
