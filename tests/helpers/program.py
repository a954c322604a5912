"""The program as a person starts it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

from dmcvr.cli.main import main

#: Imports that take their time: a refusal comes before them.
HEAVY = ("torch", "nibabel", "scipy", "skimage", "SimpleITK", "pydicom")


#: What a whole reconstruction of an image does without.
NEEDLESS = ("trimesh", "SimpleITK", "pydicom", "scipy.stats", "matplotlib", "pandas", "monai", "tensorboard", "dask")


def run(*arguments: object, before: str = "", heavy: Sequence[str] = HEAVY) -> subprocess.CompletedProcess[str]:
    """In a process of its own, whose last line of stderr lists what of `heavy` it imported; `before` runs first."""
    code = f"""{before}
import sys
from dmcvr.cli.main import main
try:
    main()
finally:
    heavy = [name for name in {heavy} if name in sys.modules]
    print("IMPORTED", *heavy, file=sys.stderr)
"""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def refusal(*arguments: object, capsys: pytest.CaptureFixture[str], status: int = 2) -> str:
    """The one sentence of a command that cannot be done, in this process."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert (stopped.value.code, said.out) == (status, "")
    (sentence,) = said.err.strip().splitlines()
    assert sentence.startswith("dmcvr: ")
    return sentence.removeprefix("dmcvr: ")
