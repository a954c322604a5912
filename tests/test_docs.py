"""The documentation: its Python runs as written, its commands are commands, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import tyro

from dmcvr.cli.main import Command
from dmcvr.evaluate.protocols import PROTOCOLS
from dmcvr.evaluate.run import evaluate
from dmcvr.evaluate.settings import SOURCES

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

#: The site has these two beside the other pages.
MOVED = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The code of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


def links(page: Path) -> list[str]:
    """Targets of links and pictures that are not on the web, without code."""
    text = re.sub(r"^```.*?^```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links, as GitHub and the site call them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def commands(page: Path) -> list[str]:
    """Lines that call `dmcvr`, in blocks and in the text."""
    text = "\n".join(blocks(page, "bash")).replace("\\\n", " ")
    calls = re.findall(r"(?:^|[|&;] *|\] && )(?:\.venv/bin/)?(dmcvr [^|&;\n]*)", text, re.M)
    return [call.split(" #")[0].split(" 2>")[0].strip() for call in calls]


@pytest.mark.slow
def test_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    snippets = blocks(ROOT / "docs" / "tutorial.md", "python")
    assert len(snippets) >= 7
    space: dict[str, object] = {}
    for snippet in snippets:
        exec(snippet, space)
    assert (tmp_path / "out" / "image.nii.gz").is_file()


def test_worked_example_of_a_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    (snippet,) = blocks(ROOT / "CONTRIBUTING.md", "python")
    assert snippet.count("\n") < 40
    for names in (PROTOCOLS, SOURCES):
        monkeypatch.setitem(names, "kept", None)  # afterwards there is none either
    exec(snippet, {"__name__": __name__})
    measured = evaluate("kept", exams=1)
    assert set(measured.rows["method"]) == {"linear", "shape"}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = ROOT / MOVED[name] if name in MOVED and page.parent.name == "docs" else page.parent / name
        target = target if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_are_commands(page: Path) -> None:
    for command in commands(page):
        words = shlex.split(command)[1:]
        if words and words[0] != "COMMAND":  # `dmcvr COMMAND --help`
            tyro.cli(Command, args=words)


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/method.md"])
def test_files_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for path in re.findall(r"`([a-z_/]+\.py)`", text):
        assert (ROOT / path).exists() or (ROOT / "src" / "dmcvr" / path).exists(), path
