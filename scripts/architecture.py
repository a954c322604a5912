#!/usr/bin/env python
"""The order of the rooms under src/dmcvr: who may import whom, who does, and a picture of it.

    python scripts/architecture.py                                  the imports, room by room
    python scripts/architecture.py --check                          exit 1 where an import breaks the order
    python scripts/architecture.py -o docs/architecture.svg         the picture

Imports are read from the source, never run: those inside functions and under TYPE_CHECKING count too. The package's own
`__init__.py` and `__main__.py` are its public face: they may import everything, and no room may import them.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE = "dmcvr"
SOURCE = Path(__file__).resolve().parent.parent / "src" / PACKAGE

#: What each room is for. A room may import those above it.
ABOUT = {
    "errors": "what is said when something cannot be used",
    "threads": "independent pieces on all cores",
    "stages": "timings, and how far a run is",
    "progress": "how that is shown: a line, a log",
    "exam": "slice stack, volume, structures, what was read: arrays with their place in the patient",
    "options": "what a reconstruction can be told, each choice named once",
    "result": "what comes out: one type",
    "labels": "signed distances, components, colours, what a segmenter is",
    "geometry": "the plan; find the heart, crop it, the exact way back; breath-holds",
    "io": "readers, dataset layouts, DICOM, writers",
    "anatomy": "where the ventricles end: a closed apex, a base that ends at its valves",
    "registration": "deformations between neighbours, paths along them; slices' shifts",
    "diffusion": "noise schedule, sampler and its inverse: pure functions",
    "model": "networks, presets, weights",
    "fill": "the methods: published.py is the paper, aligned.py is ours, and the plain ones",
    "clinical": "volumes and function, wall, heartbeat, reference values",
    "surface": "meshes, and a heart that beats",
    "quality": "flags, training range, the run's record, metrics",
    "phantom": "synthetic exams with exact 3D truth",
    "report": "the page",
    "reconstruction": "the main job",
    "cohort": "many exams, on a cluster, and their tables",
    "train": "how the weights are made",
    "evaluate": "how good it is, against truth that no method saw",
    "cli": "the command line",
}

#: From the ground up.
ROOMS = tuple(ABOUT)

#: Modules of the public face: they import from every room.
FACE = (PACKAGE, f"{PACKAGE}.__main__")


@dataclass(frozen=True, order=True)
class Edge:
    """One import: who imports whom, and where that is written."""

    importer: str
    imported: str
    line: int


def modules(source: Path = SOURCE) -> dict[str, Path]:
    """Every module under the package's folder, by its dotted name."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join((PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return found


def room_of(module: str) -> str:
    """`dmcvr.io.dicom.read` is in the room `io`; the public face is in the room `dmcvr`, which no list has."""
    return PACKAGE if module in FACE else module.split(".")[1]


def edges(source: Path = SOURCE) -> list[Edge]:
    """Module to module, without the public face's own imports."""
    known = modules(source)
    found = set()
    for module, path in known.items():
        if module not in FACE:
            tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            found |= {Edge(module, name, line) for name, line in _imports(tree, package, known) if name != module}
    return sorted(found)


def _imports(tree: ast.AST, package: str, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """Modules of the package that a module's code imports, and the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE:
                    yield _longest_known(alias.name, known), node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                home = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*home, *([base] if base else [])])
            if base.split(".")[0] == PACKAGE:
                for alias in node.names:
                    yield _longest_known(f"{base}.{alias.name}", known), node.lineno


def _longest_known(name: str, known: dict[str, Path]) -> str:
    while name not in known and "." in name:
        name = name.rpartition(".")[0]
    return name


def room_edges(found: Iterable[Edge]) -> Counter[tuple[str, str]]:
    """(importing room, imported room) with the number of imports; those within a room left out."""
    pairs = ((room_of(edge.importer), room_of(edge.imported)) for edge in found)
    return Counter(pair for pair in pairs if pair[0] != pair[1])


def wrong_way(found: Iterable[Edge]) -> list[Edge]:
    """Imports of a later room or of the public face; what is in no room is `homeless`' matter."""
    place = {PACKAGE: len(ROOMS)} | {room: index for index, room in enumerate(ROOMS)}
    rooms = ((edge, room_of(edge.importer), room_of(edge.imported)) for edge in found)
    return [edge for edge, one, other in rooms if one in place and other in place and place[other] > place[one]]


def circles(found: Iterable[Edge]) -> list[list[str]]:
    """Groups of modules each of which imports, in the end, itself: strongly connected components (Tarjan 1972)."""
    below: dict[str, list[str]] = {}
    for edge in found:
        below.setdefault(edge.importer, []).append(edge.imported)
        below.setdefault(edge.imported, [])
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in below[module]:
            if other not in number:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == number[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for module in sorted(below):
        if module not in number:
            visit(module)
    return sorted(groups)


def homeless(source: Path = SOURCE) -> list[str]:
    """Modules that are in no room."""
    return [module for module in modules(source) if module not in FACE and room_of(module) not in ROOMS]


def complaints(source: Path = SOURCE) -> list[str]:
    """What breaks the order, a sentence each."""
    found = edges(source)
    return [
        *(f"{module} is in no room: add one to ROOMS, or move it" for module in homeless(source)),
        *(
            f"{edge.importer} (line {edge.line}) imports {edge.imported}: against the order"
            for edge in wrong_way(found)
        ),
        *(f"a circle: {', '.join(group)}" for group in circles(found)),
    ]


def draw(source: Path, target: Path) -> None:
    """A staircase: a line leads left from the room that imports, and up to the room that is imported."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": PACKAGE, "svg.fonttype": "none"})
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    ink, pale, alarm = "#24344d", "#8fa3bf", "#c0392b"
    filled = {room_of(module) for module in modules(source)}
    imports = room_edges(edges(source))
    count, width = len(ROOMS), 3.7
    figure, axes = plt.subplots(figsize=(11.5, 0.36 * count + 0.5))
    shades = plt.get_cmap("viridis")
    tints: list[Any] = [shades(0.16 + 0.54 * index / (count - 1)) for index in range(count)]

    for row, room in enumerate(ROOMS):
        lower = [column for column in range(row) if imports[room, ROOMS[column]]]
        if lower:  # the lane of who imports
            axes.plot([min(lower), row - 0.3], [row, row], color=tints[row], lw=1.4, zorder=1)
        importers = [other for other in range(row + 1, count) if imports[ROOMS[other], room]]
        if importers:  # the lane of who is imported
            axes.plot([row, row], [row + 0.45, max(importers)], color=pale, lw=1.0, zorder=0)
            axes.plot(row, row + 0.46, marker="^", color=pale, ms=5, zorder=2)
        for column in lower:
            size = 9 + 7 * min(imports[room, ROOMS[column]], 12) ** 0.75
            axes.scatter(column, row, s=size, color=tints[row], zorder=3, linewidths=0)
        for column in range(row + 1, count):  # the wrong way
            if imports[room, ROOMS[column]]:
                axes.annotate(
                    "",
                    xy=(column + 0.6, column - 0.34),
                    xytext=(row + width - 0.3, row + 0.1),
                    arrowprops={"arrowstyle": "-|>", "color": alarm, "lw": 1.4, "connectionstyle": "arc3,rad=-0.25"},
                    zorder=5,
                )
        here = room in filled
        box = FancyBboxPatch(
            (row - 0.3, row - 0.34),
            width,
            0.68,
            boxstyle="round,pad=0,rounding_size=0.18",
            facecolor=tints[row] if here else "white",
            edgecolor=tints[row],
            linestyle="-" if here else ":",
            zorder=4,
        )
        axes.add_patch(box)
        style: dict[str, Any] = {"va": "center_baseline", "zorder": 6}
        axes.text(row - 0.05, row, room, color="white" if here else ink, fontsize=9.5, weight="bold", **style)
        axes.text(row + width - 0.05, row, ABOUT[room], color=ink, fontsize=8.5, **style)

    axes.set(xlim=(-0.8, count + 12.0), ylim=(count - 0.4, -0.8))
    axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1)
    metadata = {"Date": None} if target.suffix == ".svg" else None
    figure.savefig(target, dpi=110, metadata=metadata, facecolor="white")
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description="The rooms of dmcvr and the imports between them.")
    parser.add_argument("-o", "--output", type=Path, help="write the picture here (svg or png)")
    parser.add_argument("--check", action="store_true", help="exit 1 where an import breaks the order")
    parser.add_argument("--src", type=Path, default=SOURCE, help="the package's folder")
    options = parser.parse_args()
    if options.output:
        draw(options.src, options.output)
    if options.check:
        found = complaints(options.src)
        print("\n".join(found) or f"{len(modules(options.src))} modules keep the order of {len(ROOMS)} rooms.")
        return 1 if found else 0
    if not options.output:
        imports = room_edges(edges(options.src))
        for room in ROOMS:
            print(f"{room:15} {', '.join(other for other in ROOMS if imports[room, other])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
