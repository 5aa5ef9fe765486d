"""First paint of the pages of a report on a slow phone: a processor four times slower, slow 4G.

    python -m benchmarks.first_paint [FOLDER [PAGE ...]]

The folder is reports/latest unless one is given; without pages every page is opened. The network is that of the
browser's own "slow 4G": 562.5 ms a request, 1.44 Mbit a second. Prints the slowest ones, in milliseconds, and beside
them a page of one word: what the machine takes for it, no page can do without.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from replication import paths

_NETWORK = {"offline": False, "latency": 562.5, "downloadThroughput": 180_000, "uploadThroughput": 84_375}
_PAINT = "performance.getEntriesByType('paint').find((p) => p.name === 'first-contentful-paint')?.startTime ?? null"
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_SHOWN = 12
_EMPTY = "one-word.html"


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open, as those of any real host

    def do_GET(self) -> None:
        if self.path != f"/{_EMPTY}":
            # A browser that has seen enough hangs up, and that is no error of the page.
            with suppress(BrokenPipeError, ConnectionResetError):
                super().do_GET()
            return
        word = b"<!doctype html><title>One word</title><p>word"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(word)))
        self.end_headers()
        self.wfile.write(word)

    def log_message(self, *_: object) -> None:
        return


def first_paint(browser: Any, address: str) -> float | None:
    """Milliseconds until something is seen of a page that nothing of is kept; None where nothing was painted."""
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", _NETWORK)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.goto(address)
    found = page.evaluate(_PAINT)
    context.close()
    return None if found is None else float(found)


def main(arguments: list[str]) -> None:
    """Print the slowest pages of a report."""
    from playwright.sync_api import sync_playwright

    folder = Path(arguments[0]) if arguments else paths.reports_dir() / "latest"
    pages = arguments[1:] or sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_FLAGS)
        root = f"http://127.0.0.1:{server.server_port}"
        # Before and after, as the machine may be busier at one end.
        before = first_paint(browser, f"{root}/{_EMPTY}")
        found = {page: first_paint(browser, f"{root}/{page}") for page in pages}
        after = first_paint(browser, f"{root}/{_EMPTY}")
        browser.close()
    server.shutdown()
    slowest = sorted(found.items(), key=lambda pair: -(pair[1] or 1e9))[:_SHOWN]
    for page, paint in [*slowest, (f"{_EMPTY}, before", before), (f"{_EMPTY}, after", after)]:
        print(f"{'none' if paint is None else round(paint):>6}  {page}")


if __name__ == "__main__":
    main(sys.argv[1:])
