"""What `import dmcvr` gives, and that it gives it at once."""

from __future__ import annotations

import subprocess
import sys

import dmcvr


def test_the_names_are_there_when_asked_for() -> None:
    for name in dmcvr.__all__:
        assert getattr(dmcvr, name).__module__.startswith("dmcvr.")
    assert set(dmcvr.__all__) == {
        "InputError",
        "NoHeartError",
        "Options",
        "Patient",
        "Reconstruction",
        "SliceStack",
        "View",
        "Volume",
        "make_phantom",
        "read_exam",
        "reconstruct",
        "shown_progress",
    }


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "nibabel", "SimpleITK", "jaxtyping"}
    code = f"import sys, dmcvr; dmcvr.Options, dmcvr.InputError; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
