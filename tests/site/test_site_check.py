"""Every page of the stored report in the browser, and reviewed screenshots: `make site-check`, not the normal run.

Fonts differ from one machine to the next, so screenshots are small and compared with tolerance: a page that lost its
layout is caught, a letter that moved is not. `REVIEWED=1 make site-check` writes them anew; look at them then.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pypdf import PdfReader

from replication import paths
from tests.site.browsing import Window, faults

pytestmark = [pytest.mark.browser, pytest.mark.site_check]

SCREENS = Path(__file__).parent / "screens"
PHONE, WIDE = (360, 800, 0.5), (1440, 900, 0.25)
FINDING = "findings/engagement.html"
STATES: dict[str, tuple[str, tuple[int, int, float], str, str]] = {
    "overview-phone": ("index.html", PHONE, "light", ""),
    "overview-wide": ("index.html", WIDE, "light", ""),
    "overview-dark": ("index.html", WIDE, "dark", ""),
    "overview-nb-phone": ("nb/index.html", PHONE, "light", ""),
    "menu-phone": ("index.html", PHONE, "light", ".opens"),
    "menu-wide": ("index.html", WIDE, "light", ".opens"),
    "finding-phone": (FINDING, PHONE, "light", ""),
    "finding-wide": (FINDING, WIDE, "light", ""),
    "finding-dark": (FINDING, PHONE, "dark", ""),
    "finding-nb-wide": (f"nb/{FINDING}", WIDE, "light", ""),
    "finding-contents-phone": (FINDING, PHONE, "light", ".floating"),
    "finding-folded-wide": (f"{FINDING}#update", WIDE, "light", ""),
    "claims-phone": ("claims.html", PHONE, "light", ""),
    "claims-filtered-wide": ("claims.html?verdict=DIFFERS#all", WIDE, "light", ""),
    "work-phone": ("works/alpha2020.html", PHONE, "light", ""),
    "work-wide": ("works/alpha2020.html", WIDE, "light", ""),
    "rows-wide": ("rows/alpha2020.html", WIDE, "light", ""),
    "dataset-wide": ("dataset.html", WIDE, "light", ""),
    "methods-wide": ("methods.html", WIDE, "light", ""),
    "figure-dark": ("figures/engagement--new-funnel.html", WIDE, "dark", ""),
}
_DIFFERENCE = """async ([one, other]) => {
  const pixels = await Promise.all([one, other].map(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width / 4, image.height / 4);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  }));
  if (pixels[0].length !== pixels[1].length) return 255;
  return pixels[0].reduce((sum, value, at) => sum + Math.abs(value - pixels[1][at]), 0) / pixels[0].length;
}"""
# Mean of 0 to 255 over blocks of four by four pixels. Contents beside a page and its answer taken away: 7 to 11.
_LARGEST_DIFFERENCE = 6.0


@pytest.fixture(scope="module")
def stored(chromium: Any) -> Iterator[Window]:
    folder = paths.reports_dir() / "latest"
    if not (folder / "index.html").exists():
        pytest.skip("no reports/latest: make report")
    window = Window(chromium, SimpleNamespace(folder=folder))
    yield window
    window.context.close()


def test_every_page_of_the_stored_report_fits_every_width(stored: Window) -> None:
    folder: Path = stored.report.folder
    found = []
    for path in sorted(page.relative_to(folder).as_posix() for page in folder.rglob("*.html")):
        stored.open(path)
        found += faults(stored, path)
    assert found == []
    assert stored.said == []


def test_a_finding_is_short_on_a_phone_before_what_is_folded(stored: Window) -> None:
    for name in ("engagement", "achievement", "bullying", "mediation"):
        page = stored.open(f"nb/findings/{name}.html")
        page.set_viewport_size({"width": 360, "height": 800})
        screens = page.evaluate("document.querySelector('.fold').getBoundingClientRect().top / 800")
        assert screens < 12, name


def test_the_report_on_paper_has_under_sixty_pages_and_all_samples(stored: Window) -> None:
    folder: Path = stored.report.folder
    report = PdfReader(folder / "report.pdf")
    assert len(report.pages) < 60
    sheets = ["".join(page.extract_text().split()) for page in report.pages]
    # Where a figure goes on, the part before it ends with an axis too.
    cut = [number for number, sheet in enumerate(sheets) if ",continued" in sheet]
    assert all("correlationr" in sheets[number - 1] for number in cut)
    text = " ".join(sheets)
    for name in (folder / "figures").glob("*--forest-quality-*.csv"):
        labels = [line.split(",")[0].strip('"') for line in name.read_text(encoding="utf-8").splitlines()[1:]]
        lost = [label for label in labels if "".join(label.split())[:12] not in text]
        assert not lost, (name.name, lost)


@pytest.mark.parametrize("state", STATES)
def test_a_page_looks_as_it_was_reviewed(chromium: Any, small: Any, state: str) -> None:
    path, (width, height, scale), scheme, pressed = STATES[state]
    size = {"viewport": {"width": width, "height": height}, "device_scale_factor": scale}
    window = Window(chromium, small, color_scheme=scheme, bypass_csp=True, **size)
    page = window.open(path)
    if pressed:
        page.click(pressed)
    page.wait_for_timeout(200)  # filters come with their script
    shown = page.screenshot()
    target = SCREENS / f"{state}.png"
    if os.environ.get("REVIEWED"):
        SCREENS.mkdir(exist_ok=True)
        target.write_bytes(shown)
    pair = [base64.b64encode(data).decode() for data in (target.read_bytes(), shown)]
    difference = page.evaluate(_DIFFERENCE, pair)
    window.context.close()
    assert difference < _LARGEST_DIFFERENCE, f"{state} differs by {difference:.1f}: look, then REVIEWED=1"
