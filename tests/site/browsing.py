"""A window of Debian's chromium on a report, and what a page is looked at for: called by the tests of the site.

`faults` looks at one page in one state: nothing runs out of the window, nothing to press is smaller than a finger can
hit, every image is there. `violations` asks axe. Both return what they found, so that one visit of a page can be asked
several things: loading pages is what such tests cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["AXE", "CONTRAST", "WIDTHS", "Window", "faults", "violations"]

WIDTHS = (320, 360, 768, 1440)
# Nothing is loaded again for axe: from disk that is refused, and the console would say so.
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "preload": False}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}, "preload": False}

# A link within a sentence is as high as its line (WCAG 2.5.8 leaves it out); all else is at least 24 by 24 pixels.
_FAULTS = """() => {
  const found = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push(`runs to ${wide} of ${innerWidth} pixels`);
  const within = (node) => {
    const block = node.closest("p, li, dd, td, th, summary, figcaption, label, dt");
    if (!block || getComputedStyle(node).display !== "inline") return false;
    return block.textContent.trim() !== node.textContent.trim();
  };
  for (const node of document.querySelectorAll("a, button, summary, select, input")) {
    if (!node.checkVisibility() || node.closest("svg") || node.matches(".skip") || within(node)) continue;
    const { width, height } = node.getBoundingClientRect();
    const size = `${Math.round(width)} x ${Math.round(height)}`;
    if (Math.min(width, height) < 23.5) found.push(`${size}: ${node.outerHTML.slice(0, 90)}`);
  }
  for (const image of document.images) {
    if (image.complete && !image.naturalWidth) found.push(`no image ${image.currentSrc}`);
  }
  return found;
}"""


class Window:
    """A page that remembers what the console said and what was asked of the network."""

    def __init__(self, chromium: Any, report: Any, **options: Any) -> None:
        self.report = report
        self.context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, path: str) -> Any:
        """Go to a page of the report; the address may carry a query and a fragment."""
        self.page.goto(f"file://{self.report.folder}/{path}")
        return self.page


def faults(window: Window, path: str, widths: Sequence[int] = WIDTHS) -> list[str]:
    """What is wrong with the layout of the page that is open, at each width, with the page's path in front."""
    found = []
    for width in widths:
        window.page.set_viewport_size({"width": width, "height": 800})
        found += [f"{path} at {width}: {fault}" for fault in window.page.evaluate(_FAULTS)]
    return found


def violations(window: Window, path: str, options: dict[str, Any]) -> list[str]:
    """What axe finds of impact serious or critical on the page that is open: page, rule, elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(window.page, options=options).response["violations"]
    grave = [rule for rule in found if rule["impact"] in ("serious", "critical")]
    return [f"{path}: {rule['id']} {[node['html'][:90] for node in rule['nodes'][:3]]}" for rule in grave]
