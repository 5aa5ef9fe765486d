"""Pages for reviewers: the checklist of standards, denominators apart, errata, and the one table of named pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from replication import paths
from replication.claims import GROUPS, claims_of
from replication.errors import UserError
from replication.report.menu import make_menu
from replication.report.pages.checklist import read_checklist
from replication.report.words import load_words

ITEM = 'number = "1", asks = "x", met = "{met}", where = "{where}", why = "{why}"'


MENU = make_menu(paths.analyses_dir(), article=True)


def written(folder: Path, **cells: str) -> Path:
    line = ITEM.format(**({"met": "yes", "where": "index", "why": "y"} | cells))
    path = folder / "checklist.toml"
    path.write_text(
        f'[[standard]]\nname = "S"\nsource = "https://example.org"\nitem = [{{ {line} }}]\n', encoding="utf-8"
    )
    return path


def test_every_item_of_the_three_standards_has_a_place_and_a_reason() -> None:
    standards = {s.name: s for s in read_checklist(paths.analyses_dir() / "checklist.toml", MENU)}
    assert list(standards) == ["PRISMA 2020", "MARS", "MOOSE"]
    numbers = [item.number for item in standards["PRISMA 2020"].items]
    assert {re.match(r"\d+", number).group() for number in numbers} == {str(n) for n in range(1, 28)}  # type: ignore[union-attr]
    assert len(set(numbers)) == len(numbers) == 42  # 27 items, some in parts
    assert all(sum(s.counts.values()) == len(s.items) for s in standards.values())
    assert standards["PRISMA 2020"].counts["no"] >= 2  # no search was run, and the page must not say otherwise


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"met": "maybe"}, 'met is "maybe"; write one of yes, partly, no'),
        ({"where": "nowhere"}, 'no page "nowhere"; write one of index'),
        ({"why": " "}, "all filled"),
    ],
)
def test_an_item_that_says_nothing_or_leads_nowhere_is_refused(
    tmp_path: Path, cells: dict[str, str], said: str
) -> None:
    assert read_checklist(written(tmp_path), MENU)[0].counts == {"yes": 1, "partly": 0, "no": 0}
    with pytest.raises(UserError, match=re.escape(said)):
        read_checklist(written(tmp_path, **cells), MENU)


def test_the_page_for_reviewers_names_version_data_and_who_decided(real: Any) -> None:
    page = real.text("checklist.html")
    assert real.dataset.digest[:16] in page and f"dataset {real.dataset.version}" in page
    for answers in real.dataset.answers.values():
        assert all(answer.who in page for answer in answers)


def test_named_pages_are_written_listed_searched_and_named_in_words(real: Any) -> None:
    english, index = load_words("en"), real.text("assets/search-index.js")
    for page in MENU.pages:
        assert page.path in real.pages, page.name
        assert english.say(f"nav.{page.name}") and f'"{page.path}"' in index
        assert (f"nb/{page.path}" in real.pages) == page.translated
    assert set(MENU.findings) <= {statement.finding for statement in real.dataset.statements} | {"mediation"}
    assert all(statement.finding in ("", *MENU.findings) for statement in real.dataset.statements)
    assert MENU.is_translated("index.html")


def test_the_works_the_article_lists_come_first_and_apart(real: Any) -> None:
    for path in ("index.html", "claims.html"):
        places = [real.text(path).find(f'id="of-{group}"') for group in GROUPS]
        shown = [place for place in places if place >= 0]
        assert places[0] > 0 and shown == sorted(shown)
    cited = set(real.dataset.cited())
    for claim in claims_of(real.dataset):
        assert (claim.group == "cited") == (claim.work in cited and not claim.printed_by)
        assert not (claim.group == "software" and claim.work in cited)


def test_how_many_of_the_cited_works_were_read_in_full_stands_before_the_findings(real: Any) -> None:
    findings = real.text("index.html").partition('id="findings"')[0]
    lede = re.search(r'<p class="generated">(.*?)</p>', findings, re.DOTALL)
    assert lede
    text = re.sub(r"<[^>]*>", "", lede[1]).replace("\u202f", " ").replace("\u00a0", " ")
    full = sum(real.dataset.works[key].read_in_full for key in real.dataset.cited())
    assert f"Read in full: {full} of the {len(real.dataset.cited())} works" in text


def test_a_quoted_number_is_its_printers_and_no_article_is_tried_by_who_copies_it(real: Any) -> None:
    claims = {claim.id: claim for claim in claims_of(real.dataset)}
    assert claims["ahnert2006-005"].group == "quoted" and "HealthDay" in claims["ahnert2006-005"].printed_by
    assert "HealthDay" in real.text("works/ahnert2006.html")
    article = real.text("works/corneliuswhite2007.html")
    row = re.search(r'<tr id="corneliuswhite2007-002">(.*?)</tr>', article, re.DOTALL)
    assert row and "229" not in re.sub(r"<[^>]*>", "", row[1])  # the database's count is not ours
