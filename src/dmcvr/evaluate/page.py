"""An evaluation's `report.html`: the definition, the tables and the pictures in one file that opens anywhere."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from dmcvr.evaluate.tables import Table
from dmcvr.report.page import render

#: The pictures that an evaluation's folder may hold, and what they are called.
PICTURES = {"plot.png": "Patient by patient", "worst.png": "Where the first method scored worst"}


def write_evaluation(folder: Path, definition: str, tables: list[Table], run: dict[str, Any]) -> None:
    """Write report.html beside the pictures in `folder`; patients' names pass through escaping like all else."""
    pictures = [
        (title, "data:image/png;base64," + base64.b64encode((folder / name).read_bytes()).decode("ascii"))
        for name, title in PICTURES.items()
        if (folder / name).is_file()
    ]
    page = render(
        "evaluation.html.j2",
        scripts=[],
        definition=[" ".join(part.split()) for part in definition.split("\n\n")],
        tables=tables,
        pictures=pictures,
        run=run,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")
