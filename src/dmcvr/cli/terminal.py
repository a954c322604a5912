"""What commands share: how their progress is followed, how they start, and common arguments."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Annotated, cast

from tyro.conf import arg

from dmcvr.options import DeviceName, maybe

Output = Annotated[Path, arg(aliases=["-o"], help="folder to write; replaced if it is of an earlier run")]
Device = Annotated[DeviceName, arg(help="where the networks run")]
Steps = Annotated[int | None, maybe("N", help="DDIM steps each way; default: the preset's")]
LogJson = Annotated[
    Path | None, maybe("FILE", help="append what is done and the time left to this file, a JSON object a line")
]


@contextmanager
def quick_imports() -> Iterator[None]:
    """What is imported here stays for good: no garbage is looked for meanwhile, nor among it ever after.

    nibabel tries to import pydicom, which takes longer than all the rest of it and which images have no use for: here
    it finds none. For programs' own processes; a library leaves such things as they are.
    """
    alone = "pydicom" not in sys.modules
    gc.disable()
    try:
        if alone:
            sys.modules["pydicom"] = cast(ModuleType, None)
            try:
                import nibabel  # noqa: F401
            finally:
                del sys.modules["pydicom"]
        yield
    finally:
        gc.freeze()
        gc.enable()
