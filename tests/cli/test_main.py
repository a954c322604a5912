"""The program: listings, exit codes, pipes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers.program import run

from dmcvr.cli.main import main


@pytest.mark.parametrize("argument", ["models", "--help"])
def test_listings_import_nothing_heavy(argument: str) -> None:
    done = run(argument)
    assert done.returncode == 0
    assert done.stderr.strip() == "IMPORTED"
    assert ("aligned" if argument == "models" else "reconstruct") in done.stdout


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
