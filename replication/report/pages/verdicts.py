"""All claims with their verdicts, filterable, and the strip of printed against reproduced."""

from __future__ import annotations

from typing import Any

from replication.claims import GROUPS
from replication.report.archive import Archive
from replication.report.figures import FigureData, draw
from replication.report.figures.diagrams import VERDICT_MARKS
from replication.report.pages.common import ClaimRow, distance, reasons_of, sorted_rows, tally_by_group
from replication.report.view import Page, View
from replication.report.words import Words

__all__ = ["page"]


def page(archive: Archive, words: Words) -> Page:
    """The page of verdicts: the works the article lists first, and in each group what does not hold."""
    rows = sorted(sorted_rows(archive), key=lambda row: GROUPS.index(row.claim.group))  # the article's works first
    first: dict[str, str] = {}
    for row in rows:
        # The bar of counts leads to the first claim of each verdict.
        first.setdefault(row.verdict, row.claim.id)
    figure = strip(archive, rows)
    view = View("claims.html", words, archive)
    values = {
        "rows": rows,
        "first": first,
        "reasons": reasons_of(archive, rows),
        "groups": tally_by_group(rows),
        "works": sorted({row.claim.work for row in rows}, key=archive.short),
        "strip": draw(figure, words, view.to, linked_narrow=True),
        "drawn": len(figure),
        "marks": list(VERDICT_MARKS),
        "current": "claims",
    }
    return Page("claims.html", "claims.html", words.say("title.claims"), values, words)


def strip(archive: Archive, rows: list[ClaimRow]) -> FigureData:
    """The figure of all claims that have a number of ours."""
    shown = [(row, distance(row)) for row in rows]
    known = [(row, place) for row, place in shown if place is not None]
    known.sort(key=lambda pair: archive.short(pair[0].claim.work).lower())
    columns: dict[str, list[Any]] = {
        "label": [archive.short(row.claim.work) for row, _ in known],
        "work": [row.claim.work for row, _ in known],
        "row": [row.claim.id for row, _ in known],
        "verdict": [row.verdict for row, _ in known],
        "distance": [place for _, place in known],
    }
    return FigureData("verdicts", "verdict_strip", "", "", columns, {})
