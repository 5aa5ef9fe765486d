"""The site in Debian's chromium: from disk, at phone and desktop width, by keyboard, in the dark, on paper."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pypdf import PdfReader

from tests.site.browsing import AXE, CONTRAST, Window, faults, violations

pytestmark = pytest.mark.browser

# One page a template: what is wrong with one is wrong with all of its kind. `make site-check` looks at all pages.
KINDS_OF_PAGES = (
    "index.html",
    "article.html",
    "findings/mediation.html",
    "claims.html",
    "claims-2.html",
    "works.html",
    "works/jakcheung2018.html",
    "works/oecdpisa.html",
    "rows/roorda2011.html",
    "analyses/roorda2011.html",
    "figures/roorda2011--forest-positive-engagement-used.html",
    "figures/jakcheung2018--diagram-full-mediation.html",
    "dataset.html",
    "codebook.html",
    "screening.html",
    "methods.html",
    "missing.html",
    "traps.html",
    "changes.html",
    "provenance.html",
    "checklist.html",
    "nb/index.html",
    "nb/article.html",
    "nb/findings/mediation.html",
    "nb/dataset.html",
    "nb/works/jakcheung2018.html",
)
# The same kinds, short: axe takes half a minute for a table of some hundred rows, and finds no more there than in ten.
DARK_PAGES = ("index.html", "findings/engagement.html", "claims.html", "works/alpha2020.html")
SHORT_PAGES = (
    "index.html",
    "article.html",
    "findings/engagement.html",
    "claims.html",
    "works.html",
    "works/alpha2020.html",
    "rows/alpha2020.html",
    "analyses/engagement.html",
    "figures/engagement--new-funnel.html",
    "dataset.html",
    "methods.html",
    "missing.html",
    "nb/findings/engagement.html",
)


@pytest.fixture
def window(chromium: Any, real: Any) -> Iterator[Window]:
    found = Window(chromium, real)
    yield found
    found.context.close()


@pytest.fixture
def odd(chromium: Any, small: Any) -> Iterator[Window]:
    found = Window(chromium, small)
    yield found
    found.context.close()


def test_every_page_of_a_report_loads_without_a_word_on_the_console(odd: Window) -> None:
    for path in odd.report.pages:
        odd.open(path)
        assert odd.page.title() != "owned", path
    assert odd.said == []
    assert [url for url in odd.asked if not url.startswith("file:")] == []


def test_every_kind_of_page_fits_every_width_and_says_nothing_on_the_console(window: Window) -> None:
    found = []
    for path in KINDS_OF_PAGES:
        window.open(path)
        found += faults(window, path)
    assert found == []
    assert window.said == []
    assert [url for url in window.asked if not url.startswith("file:")] == []


def test_odd_pages_fit_a_phone_and_axe_finds_nothing_in_light_and_dark(chromium: Any, small: Any) -> None:
    window = Window(chromium, small, bypass_csp=True)
    found = []
    for path in SHORT_PAGES:
        page = window.open(path)
        # What is folded is looked at as well.
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        found += [*faults(window, path, (320, 1440)), *violations(window, path, AXE)]
        if path in DARK_PAGES:
            page.emulate_media(color_scheme="dark")
            found += violations(window, f"{path} in the dark", CONTRAST)
            page.emulate_media(color_scheme="light")
    window.context.close()
    assert found == []


def test_the_answer_its_certainty_and_all_samples_are_on_the_first_screen_of_a_phone(chromium: Any, small: Any) -> None:
    window = Window(chromium, small, viewport={"width": 360, "height": 800})
    page = window.open("findings/engagement.html")
    lead, figure = (
        page.locator("#answer .lead p >> nth=0").bounding_box(),
        page.locator("#answer figure").bounding_box(),
    )
    assert lead["y"] + lead["height"] < 500 and figure["y"] < 700
    visible = page.evaluate(
        "[...document.querySelectorAll('a')].filter((a) => a.checkVisibility()).findIndex((a) => a.closest('#answer'))"
    )
    assert visible <= 4  # skip link, name of the site, language: few links stand before the first result
    window.context.close()


def test_contents_are_in_sight_on_a_wide_screen_and_in_a_drawer_on_a_phone(chromium: Any, small: Any) -> None:
    window = Window(chromium, small, viewport={"width": 1440, "height": 900})
    page = window.open("findings/engagement.html")
    assert page.is_visible("#contents a >> nth=0") and page.is_hidden(".floating")
    page.mouse.wheel(0, 3000)
    assert page.locator("#contents").bounding_box()["y"] >= 0  # it goes along
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.is_hidden("#contents")
    # As wide as the window: words pass behind its edge, and none is covered in part.
    assert page.locator(".floating").bounding_box()["width"] == 360
    page.click(".floating")
    link = page.locator("#contents a:visible >> nth=-1")
    place = link.get_attribute("href")
    link.click()
    assert page.is_hidden("#contents") and page.url.endswith(place)
    assert page.evaluate(f"document.querySelector('{place}').checkVisibility()")
    window.context.close()


def test_a_link_into_a_folded_part_opens_it(odd: Window) -> None:
    page = odd.open("findings/engagement.html#update")
    assert page.evaluate("document.getElementById('update').checkVisibility({contentVisibilityAuto: true})")
    assert page.locator("details.fold[open]").count() == 1


def test_the_search_finds_a_work_and_leads_to_it(window: Window) -> None:
    page = window.open("works/riley2010.html")
    page.fill("#search", "thornberg bullying")
    page.wait_for_selector("#found a")
    assert "Thornberg" in page.inner_text("#found")
    page.click("#found a >> nth=0")
    assert "works/thornberg" in page.url and "Thornberg" in page.inner_text("main")
    page.fill("#search", "zzzzqqq")
    page.wait_for_selector("text=Nothing found")


def test_the_search_works_in_norwegian_from_a_folder_below(window: Window) -> None:
    page = window.open("nb/findings/engagement.html")
    page.fill("#search", "roorda 2011")
    page.wait_for_selector("#found a")
    page.click("#found a >> nth=0")
    assert page.inner_text("h1")


def explored(page: Any, path: str = "tbody tr:visible") -> Any:
    """What the explorer of a page shows, once it is there."""
    page.wait_for_selector("[data-explorer] select")
    return page.locator(f"[data-explorer] {path}")


def test_filters_narrow_the_claims_and_stand_in_the_address(window: Window) -> None:
    page = window.open("claims.html")
    assert explored(page).count() == 0 and page.locator("[data-still] tbody tr:visible").count() == 100
    page.select_option("select[name=verdict]", label="holds")
    held = int(page.inner_text("[data-explorer] output").split()[0])
    assert 0 < held < len(window.report.dataset.claims) and page.locator("[data-still] tbody tr:visible").count() == 0
    assert set(explored(page, ".verdict").all_inner_texts()) == {"holds"}
    page.select_option("select[name=work]", label="Jak & Cheung (2018)")
    page.fill("[data-explorer] input", "pooled")
    found = page.inner_text("[data-explorer] output")
    assert 0 < int(found.split()[0]) < held
    assert page.url.endswith("claims.html?verdict=MATCH&work=jakcheung2018&q=pooled")
    page.reload()
    assert explored(page).count() > 0 and page.inner_text("[data-explorer] output") == found


def test_a_link_to_a_verdict_sets_the_filter(window: Window) -> None:
    page = window.open("index.html")
    page.click(".tally a:has-text('not computable') >> nth=0")
    assert set(explored(page, ".verdict").all_inner_texts()) == {"not computable"}


def test_what_is_not_known_is_sorted_last_whichever_way(window: Window) -> None:
    for way in ("ours", "-ours"):
        page = window.open(f"claims.html?verdict=&group=cited&sort={way}")
        shown = explored(page, "tbody tr td:nth-child(5)").all_inner_texts()
        blank = [text == "" for text in shown]
        assert blank == sorted(blank) and not all(blank) and any(blank)


def test_tables_sort_by_number_both_ways(window: Window) -> None:
    page = window.open("rows/roorda2011.html")
    for expected in (sorted, lambda numbers: sorted(numbers, reverse=True)):
        page.click("th:has-text('Value') button")
        shown = [float(text) for text in page.locator("tbody tr td:nth-child(4)").all_inner_texts()]
        assert shown == expected(shown)


def test_every_column_of_numbers_stands_to_the_right_and_no_other(window: Window) -> None:
    """The table says which columns hold numbers, and the sheet of style sets them: head and cells alike."""
    columns = """[...document.querySelectorAll("table.numbers:not([data-table])")].flatMap((table) =>
        [...table.tHead.rows[0].cells].slice(1).map((head, i) => [head.classList.contains("right"),
            [...table.tBodies[0].rows].map((row) => getComputedStyle(row.cells[i + 1]).textAlign === "right")]))"""
    found = []
    for path in ("findings/mediation.html", "analyses/roorda2011.html", "works/jakcheung2018.html"):
        window.open(path)
        found += window.page.evaluate(columns)
    assert {right for right, _ in found} == {True, False} and len(found) > 40
    assert [column for column in found if set(column[1]) != {column[0]}] == []


def test_the_explorer_filters_sorts_and_downloads(window: Window) -> None:
    page = window.open("dataset.html")
    page.wait_for_selector("[data-explorer] tbody tr")
    page.select_option("select[name=unit]", "student")
    page.select_option("select[name=work]", "roorda2011")
    expect_shown(page, 114)
    page.fill("[data-explorer] input", "sample 15")
    expect_shown(page, r"(?!114 )\d+")
    with page.expect_download() as download:
        page.click("text=Download these rows")
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("effect_id,") and len(lines) > 1
    page.click("[data-explorer] tbody a >> nth=0")
    assert "rows/roorda2011.html#" in page.url


def expect_shown(page: Any, k: object) -> None:
    """Wait until the explorer says that it shows so many rows: it may have to read them first."""
    page.locator("[data-explorer] output", has_text=re.compile(rf"^{k} ")).wait_for()


def test_the_explorer_reads_only_what_can_hold_the_rows_asked_for_and_finds_all_of_them(window: Window) -> None:
    effects, samples = (window.report.dataset.table(f"{name}.csv") for name in ("effects", "samples"))
    norwegian = set(samples.loc[samples["country"].isin(["NOR", "Norway"]), "sample_id"])
    page = window.open("dataset.html?country=Norway")
    expect_shown(page, int(effects["sample_id"].isin(norwegian).sum()))
    scripts = [url for url in window.asked if "assets/rows-" in url]
    assert 0 < len(scripts) < len(list(window.report.folder.glob("assets/rows-*.js"))) / 2
    # Without a choice the first rows are there at once, and nothing else is read.
    window.asked.clear()
    page = window.open("nb/dataset.html")
    page.wait_for_selector("[data-explorer] tbody tr")
    assert sum("assets/rows-" in url for url in window.asked) == 1
    expect_shown(page, len(effects))
    page.fill("[data-explorer] input", "Norge 2003")
    expect_shown(page, r"\d{1,3}")
    assert "Norge" in page.inner_text("[data-explorer] tbody tr >> nth=0")


def test_everything_but_search_and_filters_works_without_scripts(chromium: Any, real: Any) -> None:
    window = Window(chromium, real, java_script_enabled=False)
    held = len(real.dataset.claims) + len(real.dataset.directions)
    shown = 0
    for path in ["claims.html", *(name for name in real.pages if name.startswith("claims-"))]:
        shown += window.open(path).locator("table.claims tbody tr:visible").count()
    assert shown == held
    page = window.open("claims.html")
    assert page.is_hidden("#search") and page.is_visible("text=Filters need JavaScript")
    assert window.open("dataset.html").is_visible("text=The explorer needs JavaScript")
    window.context.close()


def test_the_keyboard_reaches_content_search_and_results(window: Window) -> None:
    page = window.open("index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("bullying")
    page.wait_for_selector("#found a")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "index.html" not in url)
    page.go_back()
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    assert page.is_hidden("#found")


def test_focus_is_always_visible(window: Window) -> None:
    page = window.open("claims.html")
    for _ in range(25):
        page.keyboard.press("Tab")
        style = "(e => { const s = getComputedStyle(e); return s.outlineStyle !== 'none' || s.boxShadow !== 'none' })"
        assert page.evaluate(f"{style}(document.activeElement)"), page.evaluate("document.activeElement.outerHTML")


def test_dark_mode_is_dark_and_figures_follow(chromium: Any, real: Any) -> None:
    window = Window(chromium, real, color_scheme="dark")
    page = window.open("figures/roorda2011--forest-positive-engagement-used.html")
    assert brightness(page.evaluate("getComputedStyle(document.body).backgroundColor")) < 60
    assert brightness(page.evaluate("getComputedStyle(document.body).color")) > 180
    assert brightness(page.evaluate("getComputedStyle(document.querySelector('svg.figure text')).fill")) > 150
    window.context.close()


def brightness(colour: str) -> float:
    red, green, blue = (float(n) for n in re.findall(r"[\d.]+", colour)[:3])
    return (red + green + blue) / 3


def test_on_paper_the_content_stays_and_the_tools_go(window: Window) -> None:
    page = window.open("works/jakcheung2018.html")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.is_hidden(".search") and page.is_hidden("header nav") and page.is_visible("table.claims")
    assert brightness(page.evaluate("getComputedStyle(document.body).color")) < 40
    assert brightness(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 240
    page.set_viewport_size({"width": 700, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 700


def test_what_is_folded_is_printed_and_heads_of_tables_repeat_with_words(window: Window, odd: Window) -> None:
    rows = printed(window.open("rows/roorda2011.html"))
    assert len(rows) > 2 and all("Value" in page and "↕" not in page for page in rows[1:-1])
    finding = " ".join(printed(odd.open("findings/engagement.html")))
    assert "new samples 1,234" in finding  # a row of a table in a folded part
    assert "On this page" not in finding and "Menu" not in finding


def printed(page: Any) -> list[str]:
    """The text of each sheet of a page as the browser prints it."""
    paper = PdfReader(io.BytesIO(page.pdf(format="A4")))
    return [sheet.extract_text() for sheet in paper.pages]


def test_a_static_host_serves_it_as_well(chromium: Any, real: Any) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(real.folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    window = Window(chromium, real)
    try:
        for path in ("index.html", "nb/findings/engagement.html", "dataset.html", "claims.html"):
            window.page.goto(f"http://127.0.0.1:{server.server_port}/{path}")
        window.page.fill("#search", "roorda")
        window.page.wait_for_selector("#found a")
        assert window.said == []
    finally:
        window.context.close()
        server.shutdown()
        server.server_close()
