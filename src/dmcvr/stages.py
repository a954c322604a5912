"""Names, timings and progress of a run's stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


class Stages:
    """Adds up the seconds of each stage and, given a rich `Progress`, shows them on the terminal."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def __call__(self, name: str, total: int | None = None) -> Iterator[Callable[[], None]]:
        """Time a block; the value it gives is called once a step."""
        begun = time.perf_counter()
        task = self._progress.add_task(name, total=total) if self._progress else None

        def advance() -> None:
            if self._progress is not None and task is not None:
                self._progress.advance(task)

        try:
            yield advance
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begun
            if self._progress is not None and task is not None:
                self._progress.update(task, total=total or 1, completed=total or 1)
