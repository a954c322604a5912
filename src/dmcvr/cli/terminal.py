"""What commands share: the progress on the terminal, and common arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from dmcvr.stages import Stages

Output = Annotated[Path, arg(aliases=["-o"], help="folder to write; replaced if it is of an earlier run")]


@contextmanager
def shown_progress() -> Iterator[Stages]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Stages()
        return
    columns = (TextColumn("{task.description:>16}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield Stages(progress)
