"""Every page of the report, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from replication.report.archive import Archive
from replication.report.gallery import Gallery
from replication.report.pages import analyses, article, data, findings, overview, verdicts, versions, whole, works
from replication.report.view import Page
from replication.report.words import Words

__all__ = ["all_pages"]


def all_pages(
    archive: Archive,
    words: Mapping[str, Words],
    galleries: Mapping[str, Gallery],
    write: Callable[[str, str], None],
    reports: Path | None,
) -> Iterator[Page]:
    """Every page of the report; files that pages offer for download are written on the way."""
    english = words["en"]
    for language, spoken in words.items():
        yield overview.page(archive, spoken)
        yield article.page(archive, spoken)
        yield from findings.pages(archive, spoken, galleries[language])
    yield from works.pages(archive, english, galleries["en"])
    yield from analyses.pages(archive, english, galleries["en"])
    yield verdicts.page(archive, english)
    yield from data.pages(archive, english, write)
    yield from whole.pages(archive, english, galleries["en"])
    yield from versions.pages(archive, english, reports, write)
