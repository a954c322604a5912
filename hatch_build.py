"""Build hook: the report's 3D viewer (NiiVue) comes from npm when the package is built, and goes into the wheel.

What is fetched is pinned by src/dmcvr/report/viewer/package-lock.json. Without npm the package still builds; its
reports then have still pictures in place of the viewer. DMCVR_VIEWER=required makes that an error, for a release.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VIEWER = Path(__file__).parent / "src" / "dmcvr" / "report" / "viewer"


class ViewerHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts niivue.umd.js and the licences of what is inside it into the package."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        fetched, lock = VIEWER / "niivue.umd.js", VIEWER / "package-lock.json"
        if fetched.is_file() and fetched.stat().st_mtime > lock.stat().st_mtime:
            return
        try:
            fetch_viewer(VIEWER)
        except (OSError, subprocess.SubprocessError) as error:
            text = f"The report's 3D viewer could not be fetched with npm ({error}); reports will have still pictures."
            if os.environ.get("DMCVR_VIEWER") == "required":
                raise RuntimeError(text) from error
            self.app.display_warning(text)


def fetch_viewer(folder: Path) -> None:
    """Run `npm ci` in a temporary folder, and keep the one file that is needed, with its licences."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(folder / file, work / file)
        command = [npm, "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=300)
        modules = work / "node_modules"
        texts = ["@niivue/niivue\n\n" + (folder / "niivue.LICENSE").read_text(encoding="utf-8")]
        for path in sorted(modules.glob("**/LICENSE*")):
            texts.append(f"{path.parent.relative_to(modules)}\n\n{path.read_text(encoding='utf-8')}")
        (folder / "licenses.txt").write_text("\n\n".join(texts), encoding="utf-8")
        shutil.copy(modules / "@niivue" / "niivue" / "dist" / "niivue.umd.js", folder / "niivue.umd.js")
