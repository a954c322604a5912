"""What a file or folder was understood to be: what was taken as the short-axis exam, and what was left, and why.

Nothing here names a person: a series is known by its number, a file by its role, never by what it is called.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SHORT_AXIS_CINE = "short axis cine"
SHORT_AXIS = "short axis"
LONG_AXIS_CINE = "long axis cine"
LONG_AXIS = "long axis"
SCOUT = "scout"
LABELS = "labels"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One series or file that was found.

    ============  ===================================================================================
    name          "series 300", "SA ED": its number or role
    kind          "short axis cine", "long axis cine", "scout", ...
    slices        number of positions
    phases        number of times; the most of any position
    pixel_mm      in-plane pixel size; None if unknown
    spacing_mm    median distance between slices, of a single slice to its neighbour in the exam; None if unknown
    thickness_mm  thickness of a slice; None if unknown
    taken         whether the exam is made of it
    why           why not, or what of it was left out
    series        what `--series` calls it; "" where there is nothing to choose
    view          of a long-axis view: "2-chamber", "3-chamber", "4-chamber", "RVOT", or "" if unknown
    matched       of a long-axis view: how many of the exam's phases have a picture of it; 0: it is not used
    ============  ===================================================================================
    """

    name: str
    kind: str
    slices: int
    phases: int
    pixel_mm: tuple[float, float] | None = None
    spacing_mm: float | None = None
    thickness_mm: float | None = None
    taken: bool = False
    why: str = ""
    series: str = ""
    view: str = ""
    matched: int = 0

    @property
    def size(self) -> str:
        """Slices and phases in words."""
        return f"{_count(self.slices, 'slice')} x {_count(self.phases, 'phase')}"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A short-axis stack that an exam can be read as.

    ======  ====================================================================
    series  what `--series` takes it by
    names   its series, in words: "series 300", "series 5-12"
    kind    "short axis cine" or "short axis" (still pictures)
    slices  number of positions
    phases  number of times
    doubt   what a description says against it: "late enhancement", ...; or ""
    taken   whether it is the one that is read
    ======  ====================================================================
    """

    series: str
    names: str
    kind: str
    slices: int
    phases: int
    doubt: str = ""
    taken: bool = False

    @property
    def size(self) -> str:
        """Slices and phases in words."""
        return f"{_count(self.slices, 'slice')} x {_count(self.phases, 'phase')}"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large the exam is that would be reconstructed. `apart_mm` is the median distance between its slices."""

    slices: int
    phases: int
    apart_mm: float | None

    @property
    def words(self) -> str:
        """As in "6 slices, 17.7 mm apart, 25 phases"."""
        apart = [] if self.apart_mm is None else [f"{self.apart_mm:.3g} mm apart"]
        return ", ".join([_count(self.slices, "slice"), *apart, _count(self.phases, "phase")])


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a path holds.

    ========  =====================================================================
    layout    "dicom", "acdc", ...: how the path was read
    pieces    the series or files with images or labels
    ignored   how many files of each other kind were passed over
    notes     sentences: what had to be assumed
    choices   the short-axis stacks to choose from, the best first
    left_out  sentences: slices of the chosen stack that could not be used, and why
    size      slices, phases, and mm between slices of the exam; None where that is not known
    ========  =====================================================================
    """

    layout: str
    pieces: tuple[Piece, ...] = ()
    ignored: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    left_out: tuple[str, ...] = ()
    size: Size | None = None

    def record(self) -> dict[str, Any]:
        """As run.json and `dmcvr inspect --json` give it."""
        return {"summary": self.summary(), **asdict(self)}

    def verdict(self) -> str:
        """One sentence: what the exam is, and whether it would be reconstructed."""
        views = sum(piece.slices for piece in self.pieces if piece.kind in (LONG_AXIS, LONG_AXIS_CINE))
        found = [] if self.size is None else [self.size.words]
        found += [_count(views, "long-axis view")] if views else []
        if self.size is not None and self.size.slices < 2:
            return f"{', '.join(found)}: would not be reconstructed, a 3D heart needs two slices or more."
        return f"{', '.join(found) or 'An exam'}: would be reconstructed."

    def summary(self) -> str:
        """One sentence: what was taken, what was left out."""
        taken = [piece for piece in self.pieces if piece.taken]
        views = [piece for piece in self.pieces if piece.matched]
        left = [piece for piece in self.pieces if not piece.taken and not piece.matched]
        text = f"Layout {self.layout}: took {_listed(taken) or 'nothing'}"
        text += f"; beside it, as long-axis views, {_listed(views)}" if views else ""
        rest = [_listed(left)] if left else []
        rest += [_count(count, f"file ({what})", f"files ({what})") for what, count in self.ignored.items()]
        return f"{text}; left out {', '.join(rest)}." if rest else f"{text}."


def _listed(pieces: list[Piece]) -> str:
    """Pieces by kind and name; many of one kind by their number."""
    kinds: dict[str, list[Piece]] = {}
    for piece in pieces:
        kinds.setdefault(piece.kind, []).append(piece)
    words = []
    for kind, members in kinds.items():
        if len(members) > 3:
            words.append(f"{len(members)} pieces ({kind}, {_count(sum(p.slices for p in members), 'slice')})")
        else:
            words += [f"{piece.name} ({kind}, {piece.size})" for piece in members]
    return ", ".join(words)


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
