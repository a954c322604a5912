"""What commands share: how their progress is followed, and common arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from dmcvr.options import DeviceName, maybe

Output = Annotated[Path, arg(aliases=["-o"], help="folder to write; replaced if it is of an earlier run")]
Device = Annotated[DeviceName, arg(help="where the networks run")]
Steps = Annotated[int | None, maybe("N", help="DDIM steps each way; default: the preset's")]
LogJson = Annotated[
    Path | None, maybe("FILE", help="append what is done and the time left to this file, a JSON object a line")
]
