"""The program: listings, exit codes, pipes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from helpers.program import run

from dmcvr.cli.main import Command, main
from dmcvr.errors import InputError, Interrupted, NoHeartError, OutputError

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("argument", "said"), [("models", "aligned"), ("--help", "reconstruct"), ("--version", "dmcvr ")]
)
def test_listings_import_nothing_heavy(argument: str, said: str) -> None:
    done = run(argument)
    assert done.returncode == 0
    assert done.stderr.strip() == "IMPORTED"
    assert said in done.stdout


def commands(union: Any = Command, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, groups of them as well, as they are declared."""
    for member in get_args(union):
        kind, *marks = get_args(member)
        (name,) = (mark.name for mark in marks if getattr(mark, "name", None))
        yield (*before, name)
        if get_args(kind):
            yield from commands(kind, (*before, name))


ALL = [(), *commands()]


def test_every_command_is_walked() -> None:
    assert {("demo",), ("reconstruct",), ("train",), ("train", "segmenter"), ("models",)} <= set(ALL)


def options(said: str) -> dict[str, str]:
    """What help says of each option: how it is called, and the explanation without its default."""
    lines = [re.sub(r"^[│╭╰].|│$", "", line).rstrip() for line in said.split("subcommands")[0].splitlines()]
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if re.match(r" {1,2}(-\w|--\w)", line):
            name, *text = re.split(r"  +", line.strip(), maxsplit=1)
            found[name] = "".join(text)
        elif name and line.startswith("   "):
            found[name] += " " + line.strip()
    return {name: re.sub(r"\(default: .*?\)|\(required\)", "", text).strip() for name, text in found.items()}


@pytest.mark.parametrize("words", ALL, ids=lambda words: " ".join(words) or "dmcvr")
def test_help_explains_every_option(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words, of which no two commands use others for the place that is written to."""
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "{None}" not in said
    assert "default: None" not in said
    explained = options(said)
    assert "show this help" in explained.pop("-h, --help")
    assert [name for name, text in explained.items() if len(text.split()) < 2] == []
    writes = {("cohort",), ("demo",), ("reconstruct",), ("export",), ("phantom",), ("evaluate",), ("benchmark",)}
    writes |= {words for words in ALL if words[:1] == ("train",)} - {("train",), ("train", "twins")}
    assert any(name.startswith("-o ") for name in explained) == (words in writes)


def test_the_documented_exit_statuses_are_those_of_the_errors() -> None:
    table = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    found = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.M)}
    errors = {kind.exit_status for kind in (InputError, NoHeartError, OutputError)}
    signals = {Interrupted(number=number).exit_status for number in (signal.SIGINT, signal.SIGTERM)}
    assert found == {0, 1} | errors | signals


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("words", [("models",), ("--version",)])
def test_a_full_disk_under_what_is_printed(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "dmcvr", *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 4
    assert done.stderr == "dmcvr: nothing more can be written (No space left on device): make room.\n"


def test_models_are_listed_with_their_hash(capsys: pytest.CaptureFixture[str]) -> None:
    from dmcvr.model.weights import bundled

    main(["models"])
    listed = capsys.readouterr().out
    for info in bundled():
        assert f"{info.path.stem} " in listed
        assert f"sha256 {info.sha256}" in listed


def test_a_reader_that_has_seen_enough() -> None:
    """`dmcvr models | head -0`: quiet."""
    code = "from dmcvr.cli.main import main; main(['models'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "arguments", [["paint"], ["reconstruct"], ["reconstruct", "-i", "x", "-o", "y", "--method", "magic"]]
)
def test_wrong_words_exit_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
