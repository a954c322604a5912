"""Chromium without a screen, and waiting for a page whose content security policy forbids evaluated text."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

#: Nothing that talks to the network by itself.
QUIET = ["--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-component-update"]


@contextmanager
def browser(flags: Sequence[str] = ()) -> Iterator[Any]:
    """Chromium as playwright drives it; skips the test, with its reason, where either is missing."""
    program = os.environ.get("DMCVR_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium, or name one in DMCVR_CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'dmcvr[dev]'")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=[*QUIET, *flags])
        yield opened
        opened.close()


def until(page: Any, condition: str, seconds: float = 120.0) -> None:
    """Waits until an expression is true on the page.

    Asked from outside, again and again: playwright's own `wait_for_function` evaluates text inside the page to ask a
    second time, which the page's content security policy forbids.
    """
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"not within {seconds:g} s: {condition}"
        time.sleep(0.02)
