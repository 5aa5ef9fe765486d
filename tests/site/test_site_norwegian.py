"""Norwegian pages are in Norwegian: what is not a quotation, a title or a record of the dataset holds no English."""

from __future__ import annotations

from typing import Any

import pytest

from replication import paths
from tests.english import Page, english_words, is_of_the_dataset, plain_words, share_of

READ_BY_EDUCATORS = ("index", "article", "works", "dataset", "methods", "faq", "findings/mediation", "works/roorda2017")
LARGEST_SHARE = 0.02
_TEXTS = (".csv", ".toml", ".md", ".bib")


@pytest.fixture(scope="module")
def records() -> str:
    """Everything the dataset's files say, as words."""
    files = sorted(path for path in paths.data_dir().rglob("*") if path.suffix in _TEXTS)
    return plain_words(" ".join(path.read_text(encoding="utf-8").replace('\\"', '"') for path in files))


@pytest.mark.parametrize("name", READ_BY_EDUCATORS)
def test_a_norwegian_page_holds_next_to_no_english(real: Any, name: str) -> None:
    share, holding = share_of(Page(real.folder / f"nb/{name}.html").own, english_words(), real.dataset)
    assert share < LARGEST_SHARE, holding


@pytest.mark.parametrize("name", ["faq", "dataset", "methods", "findings/mediation"])
def test_only_what_the_dataset_says_is_marked_as_english(real: Any, records: str, name: str) -> None:
    """A sentence made by the report may not hide behind the mark of a quotation."""
    marked = Page(real.folder / f"nb/{name}.html").marked
    assert [text for text in marked if not is_of_the_dataset(text, records)] == []


def test_the_count_finds_english_where_it_is(real: Any) -> None:
    share, holding = share_of(Page(real.folder / "index.html", "en").own, english_words(), real.dataset)
    assert share > 0.2 and holding
    mixed = ["Resultatet er robust, and the interval of the mean holds zero."]
    assert share_of(mixed, english_words(), real.dataset)[0] > 0.3


@pytest.mark.parametrize("name", ["index", "works", "faq", "works/roorda2017", "works/krull2022"])
def test_numbers_of_norwegian_pages_have_a_decimal_comma(real: Any, name: str) -> None:
    own = Page(real.folder / f"nb/{name}.html").own
    version = real.dataset.version
    wrong = [text for text in own if "." in "".join(numbers_in(text.replace(version, "").replace("CC BY 4.0", "")))]
    assert wrong == []


def numbers_in(text: str) -> list[str]:
    """What looks like a decimal number: neither an ordinal nor part of an address or a version."""
    words = [word.strip("[]();:,«»") for word in text.split()]
    return [word for word in words if word.lstrip("-−+<").replace(".", "", 1).isdigit() and "." in word[:-1]]
