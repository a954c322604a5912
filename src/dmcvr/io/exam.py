"""An exam that was found and understood, but not read yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dmcvr.errors import InputError
from dmcvr.exam.source import Source
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.structures import Numbering


@dataclass(frozen=True)
class Exam:
    """What a path holds, from headers alone, and the way to its pixels.

    `load_labels` reads the stack of the labelled phases with their labels; None where the layout has none. `numbering`
    is how the layout numbers the structures: a named convention, or a file's value to ours; None where nothing tells.
    """

    source: Source
    load: Callable[[], SliceStack]
    load_labels: Callable[[], SliceStack] | None = None
    numbering: str | Numbering | None = None

    def read(self, *, labels: bool = False) -> SliceStack:
        """The stack, with what was understood as its `source` and `warnings`; raises `InputError`."""
        if labels and self.load_labels is None:
            raise InputError(f"There are no labels beside this exam that the layout {self.source.layout} can read.")
        stack = self.load_labels() if labels and self.load_labels else self.load()
        notes = tuple(note for note in self.source.notes if note not in stack.warnings)
        return replace(stack, warnings=notes + stack.warnings, source=self.source)
