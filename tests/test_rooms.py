"""Imports point one way, along the data: no module looks into a later room, and none at itself through others.

Read from the source, so that imports inside functions and for type checkers count as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "src" / "dmcvr"

#: The rooms and the modules beside them, first to last.
ROOMS = (
    "errors", "stages", "options", "exam", "result", "labels", "geometry", "io", "registration", "diffusion", "model",
    "fill", "clinical", "surface", "quality", "phantom", "report", "reconstruction", "train", "evaluate", "cli",
)  # fmt: skip

#: A reader finds his way in the top folder: rooms, and not more modules than this.
MOST_AT_THE_TOP = 6


@cache
def modules() -> dict[str, Path]:
    """Every module by its dotted name inside the package; a room's own name is its __init__."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: path for name, path in found.items() if name not in ("", "__main__")}


def imported(path: Path) -> Iterator[str]:
    """What a module imports from the package: dotted names inside it, of modules."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dmcvr":
            source = (node.module or "").removeprefix("dmcvr").lstrip(".")
            for alias in node.names:
                inside = f"{source}.{alias.name}".lstrip(".")
                yield inside if inside in modules() else source
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("dmcvr.") for a in node.names if a.name.startswith("dmcvr."))


@cache
def arrows() -> dict[str, frozenset[str]]:
    return {name: frozenset(imported(path)) - {name, ""} for name, path in modules().items()}


def test_every_module_has_its_room() -> None:
    assert {name.split(".")[0] for name in modules()} == set(ROOMS)


def test_every_import_is_of_a_module_that_is_there() -> None:
    assert {target for targets in arrows().values() for target in targets} <= set(modules())


def test_nothing_looks_into_a_later_room() -> None:
    place = {room: n for n, room in enumerate(ROOMS)}
    against = [
        f"{name} imports {target}"
        for name, targets in arrows().items()
        for target in sorted(targets)
        if place[target.split(".")[0]] > place[name.split(".")[0]]
    ]
    assert against == []


def test_no_circles() -> None:
    try:
        TopologicalSorter(arrows()).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_the_top_folder_is_short() -> None:
    top = [path.stem for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "__main__")]
    assert len(top) <= MOST_AT_THE_TOP


def test_relative_imports_are_not_used() -> None:
    """They would pass by the tests above."""
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path
