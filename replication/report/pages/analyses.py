"""The ledger of each analysis (every estimate with its choices and rows, what was left out), figures, long tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from replication.report.archive import Archive, Record, outcome_page, table_data, table_page, tables_of_finding
from replication.report.figures.canvas import SPOKEN
from replication.report.gallery import Picture, Pictures, figure_files, table_file
from replication.report.making import File, Given, Plan
from replication.report.pages.claims import pictures_of
from replication.report.view import Page
from replication.report.words import Wording
from replication.stored import outcome_path
from replication.writing import table_path

__all__ = ["MOST_LISTED", "MOST_ROWS", "figures", "plans", "table_csv"]

MOST_ROWS = 50  # rows of a result table on a page with other things; a longer table has a page of its own
MOST_LISTED = 300  # rows of such a page, and ids of rows in one list: a file beside it holds all of them

_POINTED = ("funnel", "baujat", "orchard", "caterpillar", "effect_direction")  # marks that say what they are
_MOST_ROWS, _MOST_POINTS = 120, 40  # rows that lead somewhere; points of a curve


def plans(archive: Archive, language: str) -> Iterator[Plan]:
    """One page per analysis, one per figure, and one per table too long for either, in one language."""
    for outcome in archive.outcomes:
        name = outcome["id"]
        path = archive.menu.address(outcome_page(outcome), language)
        yield Plan(path, language, partial(_ledger_page, name=name, path=path), about=name)
        for figure in outcome["figures"]:
            page = f"page of figure {name}/{figure['id']} {language}"
            yield Plan(page, language, partial(_figure_page, name=name, item=figure["id"]), about=name)
        for table in outcome["tables"]:
            if len(table["rows"]) > MOST_ROWS:
                path = archive.menu.address(table_page(outcome, table), language)
                yield Plan(path, language, partial(_table_page, name=name, item=table["id"], path=path))


def figures(pictures: Pictures, language: str) -> Iterator[Plan]:
    """The files of each figure in one language."""
    for name, figure in pictures.held:
        plan = f"figure {name}/{figure} {language}"
        yield Plan(plan, language, partial(_drawings, name=name, item=figure), about=name)


def _ledger_page(given: Given, name: str, path: str) -> list[Page]:
    outcome = given.archive.by_outcome[name]
    values = {**_ledger(outcome, pictures_of(given.gallery, outcome)), "file": outcome_path(outcome)}
    return [Page(path, "analysis.html", given.words.label(outcome["title"]), values, given.words)]


def _figure_page(given: Given, name: str, item: str) -> list[Page]:
    outcome, picture = given.archive.by_outcome[name], given.gallery[name, item]
    path = given.archive.menu.address(picture.page, given.words.language)
    return [Page(path, "figure.html", picture.title, _figure(picture, outcome), given.words)]


def _table_page(given: Given, name: str, item: str, path: str) -> Iterator[Page | File]:
    outcome, words = given.archive.by_outcome[name], given.words
    table = next(table for table in outcome["tables"] if table["id"] == item)
    values = {"table": table, "outcome": outcome, "current": ""}
    yield Page(path, "table.html", words.label(table["title"]), values, words)
    # One file serves both languages, as those of figures do; that of pooled rows comes with their finding.
    if words.language == "en" and len(table["rows"]) > MOST_LISTED and table["section"] != "explore":
        rows = [
            [words.label(cell) if isinstance(cell, str | Mapping) else cell for cell in row] for row in table["rows"]
        ]
        yield table_file(
            table_data(outcome, table), [words.label(column) for column in table["columns"]], rows, len(rows)
        )


def table_csv(outcome: Record, table: Record) -> str:
    """Where a table too long for its page is handed out whole."""
    return table_path(table_data(outcome, table), len(table["rows"]))


def _drawings(given: Given, name: str, item: str) -> Iterator[File]:
    return figure_files(given.gallery[name, item], given.words.language)


def _ledger(outcome: Record, pictures: Sequence[Picture]) -> Mapping[str, Any]:
    """What the page of an analysis shows: its estimates, the sets of rows and of choices they share, what is left."""
    sets, used = _sets({e["id"]: tuple(e["rows"]) for e in outcome["estimates"] if e["rows"]})
    methods, method_of = _sets({e["id"]: tuple(e["method"].items()) for e in outcome["estimates"]})
    drawn = {figure["id"] for figure in outcome["figures"]}
    read = {table["id"] for table in tables_of_finding(outcome)}
    return {
        "outcome": outcome,
        "row_sets": sets,
        "used": used,
        "methods": _beside_others(methods),
        "method_of": method_of,
        # Pooled rows are for choosing among: the page of the finding offers that, and holds them as files.
        "tables": [t for t in outcome["tables"] if t["id"] not in drawn | read and t["section"] != "explore"],
        "elsewhere": tables_of_finding(outcome),
        "exclusions": _by_reason(outcome["exclusions"]),
        "pictures": pictures,
        "current": "methods",
    }


def _figure(picture: Picture, outcome: Record) -> Mapping[str, Any]:
    figure, most = picture.data, _MOST_ROWS if _links(picture.data.columns) else _MOST_POINTS
    rows = islice(figure.rows(), most) if _even(picture) else ()
    return {
        "picture": picture,
        "outcome": outcome,
        "table": next((t for t in outcome["tables"] if t["id"] == figure.id), None),
        "links": _links(figure.columns),
        "shown": [dict(zip(figure.columns, row, strict=True)) for row in rows],
        "left": max(0, len(figure) - most) if _even(picture) else 0,
        "pointed": _POINTED,
        "spoken": SPOKEN,
        "current": "",
    }


def _even(picture: Picture) -> bool:
    return len({len(column) for column in picture.data.columns.values()}) == 1


def _sets(found: Mapping[str, tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], Mapping[str, int]]:
    """The different sets among those found, and the number of the set of each id."""
    # Hundreds of estimates share a few sets of rows: each is listed once and named by its number. By its text, since
    # a choice may be a label with values.
    by_text = {json.dumps(items): items for items in found.values()}
    order = {text: number for number, text in enumerate(by_text, start=1)}
    return list(by_text.values()), {name: order[json.dumps(items)] for name, items in found.items()}


def _beside_others(methods: Sequence[tuple[tuple[str, Any], ...]]) -> list[Mapping[str, Any]]:
    """Each set of choices as one told whole before it and what differs, where that is shorter; else whole.

    Two estimates of a finding share most of a dozen choices: told whole sixty times, nobody finds the one that differs.
    """
    whole: list[int] = []
    found: list[Mapping[str, Any]] = []
    # By its text, since a choice may be a label with values, which no set holds.
    texts = [frozenset(map(json.dumps, choices)) for choices in methods]
    for number, choices in enumerate(methods):
        differing = {other: len(texts[number] ^ texts[other]) for other in whole}
        like = min(differing, key=lambda other: differing[other], default=None)
        if like is None or 2 * differing[like] > len(choices):
            whole.append(number)
            found.append({"like": 0, "own": choices, "without": ()})
            continue
        names = {name for name, _ in choices}
        own = [pair for pair in choices if pair not in methods[like]]
        without = [name for name, _ in methods[like] if name not in names]
        found.append({"like": like + 1, "own": own, "without": without})
    return found


def _by_reason(exclusions: Sequence[Record]) -> list[tuple[Wording, list[str]]]:
    """Each reason once, as it is stored, with the rows it leaves out."""
    found: dict[str, tuple[Wording, dict[str, None]]] = {}
    for exclusion in exclusions:
        # A stored label is a mapping, and no key of another one.
        reason = exclusion["reason"]
        found.setdefault(json.dumps(reason, sort_keys=True), (reason, {}))[1][exclusion["row"]] = None
    return [(reason, list(rows)) for reason, rows in found.values()]


def _links(columns: Mapping[str, Any]) -> str:
    """The column that holds the ids behind the rows."""
    return next((name for name in ("row", "estimate", "work") if name in columns), "")
