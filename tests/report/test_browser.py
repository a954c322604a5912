"""The report in a real browser (Debian's Chromium, headless): from disk, without a request, drawn and usable."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from helpers.browser import browser, until
from PIL import Image

from dmcvr.fill.engine import Engine
from dmcvr.phantom import Phantom
from dmcvr.reconstruction import Reconstruction, reconstruct
from dmcvr.report.page import VIEWER, write_report

#: WebGL in software, and nothing kept in step with an account.
FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-sync"]
SCRIPT = "<script>alert(1)</script>"
SLOW_MS = 120_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not (VIEWER / "niivue.umd.js").is_file():
        pytest.skip("the 3D viewer was not fetched when the package was installed: install npm, then scripts/setup")
    with browser(FLAGS) as launched:
        yield launched


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's script, of the version that axe/package-lock.json pins by its hash; fetched once."""
    folder = Path(__file__).parent / "axe"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core is not there, and no npm to fetch it with: apt-get install npm")
        try:
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
        except subprocess.SubprocessError as error:
            pytest.skip(f"axe-core could not be fetched from npm ({error})")
    return script.read_text(encoding="utf-8")


def violations(page: Any, axe: str) -> list[str]:
    """What axe-core objects to: rule, and where."""
    page.evaluate(axe)
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    return [f"{rule['id']}: {[node['target'] for node in rule['nodes'][:3]]}" for rule in found]


@contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[Any]:
    """The page from disk; fails on a console error, an exception, a dialog or a request for anything but itself."""
    context = browser.new_context(**({"viewport": {"width": 1200, "height": 800}} | options))
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    troubles: list[str] = []
    page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda r: troubles.append(r.url) if not r.url.startswith(("data:", "blob:")) else None)
    page.goto(path.as_uri())
    yield page
    # Software WebGL says that reading its own pixels stalls it; nothing else may be said.
    assert [t for t in troubles if t != path.as_uri() and "GPU stall due to ReadPixels" not in t] == []
    context.close()


def ready(page: Any) -> None:
    page.wait_for_selector("html[data-viewer]", state="attached")
    assert page.get_attribute("html", "data-viewer") == "ready"


def seen(page: Any, selector: str) -> np.ndarray:
    """(H, W, 3) what the element shows."""
    return np.asarray(Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")).astype(float)


def changed(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.abs(before - after).mean())


@pytest.fixture(scope="module")
def made(heart: Reconstruction, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic exam's folder: ED and ES."""
    return heart.save(tmp_path_factory.mktemp("report") / "out")


def test_a_synthetic_exam(chromium: Any, made: Path, axe: str) -> None:
    with opened(chromium, made / "report.html") as page:
        ready(page)
        assert violations(page, axe) == []
        for canvas in ("#solid", "#acquired", "#dense"):
            assert seen(page, canvas).std() > 10, canvas

        before = seen(page, "#solid")
        page.locator("#show-3").uncheck()
        without = seen(page, "#solid")
        assert changed(before, without) > 1
        page.locator("#solid").press("ArrowLeft")
        assert changed(without, seen(page, "#solid")) > 0.5

        status, cut, acquired = page.inner_text("#status"), seen(page, "#dense"), seen(page, "#acquired")
        assert "at acquired slice" in status
        page.locator("#dense").press("PageUp")
        page.locator("#dense").press("PageUp")
        assert "between acquired slices" in page.inner_text("#status")
        assert changed(cut, seen(page, "#dense")) > 0.3
        assert changed(acquired, seen(page, "#acquired")) > 0.05  # its crosshair follows
        page.locator("#dense").click(position={"x": 60, "y": 60})
        assert "outside the labels" in page.inner_text("#status")

        labelled = seen(page, "#dense")
        page.locator("#show-labels").uncheck()
        plain = seen(page, "#dense")
        assert changed(labelled, plain) > 1
        page.locator("#show-between").check()
        assert changed(plain, seen(page, "#dense")) > 1

        page.locator("input[value=wipe]").check()
        half = seen(page, "#cuts")
        page.locator("#wipe").fill("95")
        assert changed(half, seen(page, "#cuts")) > 1

        page.locator("input[value=side]").check()
        window_and_ruler(page)

        phase = page.inner_text("#phase-name")
        page.locator("#play").click()
        page.wait_for_selector(f"#phase-name:not(:text-is('{phase}'))")
        page.locator("#play").click()


def window_and_ruler(page: Any) -> None:
    """Dragging with both tools, presets, and the keyboard's ruler."""
    bright, words = seen(page, "#dense"), page.inner_text("#window-words")
    assert page.get_attribute("#presets button[value=Heart]", "aria-pressed") == "true"
    drag(page, "window", (0, 60))
    assert page.inner_text("#window-words") != words
    assert seen(page, "#dense").mean() < bright.mean() - 3  # down: darker
    assert page.get_attribute("#presets button[value=Heart]", "aria-pressed") == "false"
    page.locator("#presets button[value=Heart]").click()
    assert page.inner_text("#window-words") == words
    assert changed(bright, seen(page, "#dense")) < 1

    wide_px = drag(page, "ruler", (50, 0))
    shown = page.evaluate("JSON.parse(document.getElementById('data').textContent).sets[0]")
    wide_mm = shown["shape"][0] * shown["spacing_mm"]
    assert measured(page) == pytest.approx(50 * wide_mm / wide_px, rel=0.1)
    assert page.locator("#ruler-dense line").count() == 2
    assert page.locator("#ruler-acquired line").count() == 2
    page.locator("#ruler-clear").click()
    assert page.locator("#ruler-dense line").count() == 0

    page.locator("input[value=crosshair]").check(force=True)
    page.locator("#dense").press("m")
    for _ in range(4):
        page.locator("#dense").press("ArrowLeft")
    assert measured(page) == pytest.approx(4 * shown["spacing_mm"], abs=0.2)
    page.locator("#dense").press("m")
    page.locator("#ruler-clear").click()


def measured(page: Any) -> float:
    return float(page.inner_text("#ruler-words").removesuffix(" mm"))


def drag(page: Any, tool: str, by: tuple[float, float]) -> float:
    """Drag in the short axis with a tool; returns the pane's width."""
    page.locator(f"input[value={tool}]").check(force=True)
    page.locator("#dense").scroll_into_view_if_needed()
    box = page.locator("#dense").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 3
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0], y + by[1], steps=3)
    page.mouse.up()
    return float(box["width"])


def test_wheel_scrolls_the_page_until_a_pane_is_focused(chromium: Any, made: Path) -> None:
    with opened(chromium, made / "report.html") as page:
        ready(page)
        dense = page.locator("#dense")
        dense.scroll_into_view_if_needed()
        before, box = page.evaluate("scrollY"), dense.bounding_box()
        page.mouse.move(box["x"] + 80, box["y"] + 80)
        page.mouse.wheel(0, 120)
        until(page, f"scrollY > {before}")
        box = dense.bounding_box()
        page.mouse.click(box["x"] + 80, box["y"] + 80)
        held, status = page.evaluate("scrollY"), page.inner_text("#status")
        page.mouse.wheel(0, 120)
        until(page, f"document.getElementById('status').textContent !== {status!r}")
        assert page.evaluate("scrollY") == held
        assert page.evaluate("getComputedStyle(document.getElementById('dense')).touchAction") == "none"
        dense.press("Escape")
        assert page.evaluate("document.activeElement === document.body")
        assert page.evaluate("getComputedStyle(document.getElementById('dense')).touchAction") == "auto"


def test_the_heart_seen_from_each_side_fills_its_pane(chromium: Any, made: Path) -> None:
    with opened(chromium, made / "report.html") as page:
        ready(page)
        page.locator("#show-crosshair").uncheck()
        shots = []
        for side in ("front", "base", "apex", "rv", "lv", "back"):
            page.locator(f"#seen-from button[value={side}]").click()
            shots.append(seen(page, "#solid"))
            heart = np.ptp(shots[-1], axis=2) > 40  # colour
            columns = np.flatnonzero(heart.any(axis=0))
            rows = np.flatnonzero(heart[:-60].any(axis=1))
            across, up = np.ptp(columns) / heart.shape[1], np.ptp(rows) / heart.shape[0]
            assert max(across, up) > 0.75, side
            assert shots[-1][heart].min(axis=1).mean() > 20, side
        assert min(changed(a, b) for a, b in zip(shots, shots[1:], strict=False)) > 1


def test_a_real_exam_on_a_phone_in_the_dark(
    chromium: Any, data: Path, engine: Engine, axe: str, tmp_path: Path
) -> None:
    exam = data / "acdc" / "patient001"
    folder = reconstruct(exam, phase="ED", method="linear", spacing_mm=2.0, engine=engine).save(tmp_path / "out")
    assert (folder / "report.html").stat().st_size < 25_000_000
    phone = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}
    with opened(chromium, folder / "report.html", **phone) as page:
        ready(page)
        assert violations(page, axe) == []
        assert seen(page, "#cuts").std() > 10
        assert page.locator("input[value=wipe]").is_checked()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert sum(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")) < 120


def test_a_script_in_a_header_stays_text(chromium: Any, phantom: Phantom, engine: Engine, tmp_path: Path) -> None:
    stack = phantom.stack.without_labels().select_phases([0])
    heart = reconstruct(
        replace(stack, warnings=(SCRIPT,), phases=(SCRIPT,)), method="linear", spacing_mm=3, engine=engine
    )
    text = tmp_path / "report.html"
    write_report(heart, text)
    with opened(chromium, text) as page:
        ready(page)
        assert SCRIPT in page.inner_text("main")


def test_names_in_a_file_do_not_reach_the_page(phantom: Phantom, engine: Engine, tmp_path: Path) -> None:
    stack = phantom.stack
    image = nib.Nifti1Image(np.moveaxis(stack.images[0], 0, 2), np.diag([1.5, 1.5, 10, 1]))
    for field in ("descrip", "db_name", "intent_name", "aux_file"):
        image.header[field] = b"<b>DOE^JOHN"
    nib.save(image, tmp_path / "DOE_JOHN.nii.gz")
    folder = reconstruct(tmp_path / "DOE_JOHN.nii.gz", method="linear", spacing_mm=3, engine=engine).save(
        tmp_path / "out"
    )
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "DOE_JOHN" not in text
    assert "DOE^JOHN" not in text


def test_a_browser_without_webgl_keeps_the_pictures(chromium: Any, made: Path) -> None:
    with opened(chromium, made / "report.html") as page:
        page.context.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
        page.reload()
        page.wait_for_selector("html[data-viewer=failed]", state="attached")
        assert "could not start" in page.inner_text("#viewer-failed")
        assert page.locator("section[aria-labelledby=stills] svg.picture").count() == 3
        assert seen(page, "section[aria-labelledby=stills] svg.picture >> nth=1").std() > 10
