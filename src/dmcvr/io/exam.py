"""An exam that was found and understood, but not read yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dmcvr.errors import InputError
from dmcvr.exam.source import Source
from dmcvr.exam.stack import SliceStack
from dmcvr.exam.structures import Numbering
from dmcvr.exam.view import View, misplaced


@dataclass(frozen=True)
class LongAxis:
    """A long-axis plane that was found beside a stack, not read yet.

    `name` is the plane's among those of the exam; `series` what `dmcvr inspect` calls its series, or "". `load` reads
    its pictures of the phases that it is given by the exam's names; of a phase that it has none of, there is none.
    """

    name: str
    series: str
    load: Callable[[Sequence[str]], tuple[View, ...]]


@dataclass(frozen=True)
class Exam:
    """What a path holds, from headers alone, and the way to its pixels.

    `load_labels` reads the stack of the labelled phases with their labels; None where the layout has none. `numbering`
    is how the layout numbers the structures: a named convention, or a file's value to ours; None where nothing tells.
    `long_axis` are planes of the same heart in the stack's world; `pictures` are the exam's names of phases by the UIDs
    of their pictures, where those tell phases apart: contours name the phases of a stack anew.
    """

    source: Source
    load: Callable[[], SliceStack]
    load_labels: Callable[[], SliceStack] | None = None
    numbering: str | Numbering | None = None
    long_axis: tuple[LongAxis, ...] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)

    def read(self, *, labels: bool = False) -> SliceStack:
        """The stack, with what was understood as its `source` and `warnings`; raises `InputError`."""
        if labels and self.load_labels is None:
            raise InputError(f"There are no labels beside this exam that the layout {self.source.layout} can read.")
        stack = self.load_labels() if labels and self.load_labels else self.load()
        notes = tuple(note for note in self.source.notes if note not in stack.warnings)
        return replace(stack, warnings=notes + stack.warnings, source=self.source)

    def views(self, stack: SliceStack, notes: list[str] | None = None) -> tuple[View, ...]:
        """The long-axis pictures of the phases of a stack that was read from this exam, in its world and by its names.

        A picture belongs to a phase by its name (M&Ms-2's ED and ES), or as the nearest in the heartbeat, both as
        fractions of their own breath-hold's beat: by trigger times in DICOM, by number where nothing gives times.
        A plane that cannot be read, or that lies beside or along the stack, is left out: `notes` is told why.
        """
        names = {self._named(stack, p): phase for p, phase in enumerate(stack.phases)}
        found: list[View] = []
        for plane in self.long_axis:
            try:
                pictures = plane.load(tuple(names))
            except InputError as error:
                pictures, why = (), str(error)
            else:
                why = next((text for view in pictures if (text := _misplaced(view, stack))), "")
            if why and notes is not None:
                of = f" (series {plane.series})" if plane.series else ""
                notes.append(f"The long-axis view {plane.name}{of} was left out: {why}")
            if not why:
                found += [replace(view, phase=names[view.phase]) for view in pictures]
        return tuple(found)

    def _named(self, stack: SliceStack, phase: int) -> str:
        """What the exam calls a stack's phase."""
        known = self.pictures.get(stack.pictures[phase][0].uid) if stack.pictures else None
        return known or stack.phases[phase]


def _misplaced(view: View, stack: SliceStack) -> str:
    rows, columns = view.image.shape
    why = misplaced(view.affine, (rows, columns), stack.affines, (stack.images.shape[2], stack.images.shape[3]))
    return f"{why}." if why else ""
