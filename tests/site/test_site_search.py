"""The search, in a browser and from disk: both languages, synonyms, countries, numbers, one slip of a finger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Search = Callable[[str], list[tuple[str, str]]]


@pytest.fixture(scope="module")
def norwegian(chromium: Any, real: Any) -> Iterator[Search]:
    yield from searched(chromium, real, "nb/works.html")


@pytest.fixture(scope="module")
def english(chromium: Any, real: Any) -> Iterator[Search]:
    yield from searched(chromium, real, "index.html")


def searched(chromium: Any, report: Any, path: str) -> Iterator[Search]:
    """What the search of a page lists: titles with their descriptions, and addresses."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"file://{report.folder}/{path}")

    def search(asked: str) -> list[tuple[str, str]]:
        page.evaluate("document.getElementById('found').replaceChildren()")
        page.fill("#search", asked)
        page.wait_for_selector("#found li")
        found = "[...document.querySelectorAll('#found a')].map(a => [a.textContent, a.getAttribute('href')])"
        return [(text, address) for text, address in page.evaluate(found)]

    yield search
    context.close()


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ("mobbing", "nb/article.html#bullying"),
        ("mobing", "nb/article.html#bullying"),  # one letter missing
        ("mobibng", "nb/article.html#bullying"),  # two changed places
        ("bullying", "nb/article.html#bullying"),
        ("hva tilliten betyr", "nb/methods.html#certainty"),
        ("førkunnskap", "nb/faq.html#prior"),
        ("forkunnskap", "nb/faq.html#prior"),
        ("lærer", "nb/faq.html#size"),
        ("læringsutbytte", "nb/findings/achievement.html"),
        ("hofkens", "nb/works/hofkens2022.html"),
        ("norske skoler", "nb/faq.html#norway"),
    ],
)
def test_norwegian_words_their_synonyms_and_slips_find_norwegian_places(
    norwegian: Search, asked: str, address: str
) -> None:
    assert f"../{address}" in [place for _, place in norwegian(asked)]


def test_a_country_is_found_by_its_name_in_either_language_and_by_its_code(norwegian: Search, english: Search) -> None:
    for asked in ("Norge", "norge", "Norway", "NOR"):
        found = norwegian(asked)
        assert found[0][0].startswith("Norge"), asked
        assert [address for _, address in found[:5]].count("../nb/dataset.html?country=Norway#explorer") == 1
        # the four samples of Norwegian schools
        assert sum(address.startswith("../rows/oecdpisa") for _, address in found) >= 4, asked
    assert english("Norge")[0][0].startswith("Norway")


def test_a_number_is_found_in_either_notation(norwegian: Search, english: Search) -> None:
    for search in (norwegian, english):
        by_notation = [search(asked) for asked in (".34", "0.34", "0,34", ",34")]
        assert by_notation[0] and all(found == by_notation[0] for found in by_notation)
        # whole numbers before those that only begin so
        assert ".34" in by_notation[0][0][0] or ",34" in by_notation[0][0][0]
        assert search("88,417") == search("88 417") == search("88417") != []


def test_what_is_nowhere_is_not_found_and_a_slip_does_not_reach_everything(english: Search) -> None:
    assert english("zzzzqqq") == []
    assert [text[:6] for text, _ in english("rorda")[:4]] == ["Roorda"] * 4
    assert "Roorda" not in " ".join(text for text, _ in english("rxrdx"))  # two slips are another word


def test_every_hit_leads_to_a_place_and_the_index_stays_small(real: Any) -> None:
    for name in ("search-index.js", "search-index-nb.js"):
        script = real.text(f"assets/{name}")
        assert len(script.encode()) < 400_000
        index = json.loads(script.removeprefix("window.SEARCH=").rstrip(";\n"))
        pages = {index["texts"][page].partition("?")[0]: [] for _, _, page, _ in index["entries"]}
        for _, _, page, place in index["entries"]:
            pages[index["texts"][page].partition("?")[0]].append(place)
        for path, places in pages.items():
            assert set(filter(None, places)) <= set(real.markup(path).ids), path
