"""The dataset: an explorer, every row with its place of reading, the codebook, the screening log, downloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from replication.dataset.schema import TABLES
from replication.report.archive import Archive, RowPage
from replication.report.gallery import table_file
from replication.report.making import File, Given, Plan
from replication.report.rows import Rows
from replication.report.search import script_data, script_table
from replication.report.view import Page
from replication.report.words import Words, load_words
from replication.writing import table_path

__all__ = ["introductions", "plans", "tables"]

_EXPLORED = (
    "effect_id", "var_a", "var_b", "value", "n", "work", "label", "country", "cycle", "unit",
    "measure_a", "measure_b", "informant_a", "informant_b", "reading",
)  # fmt: skip
_COUNTRY = _EXPLORED.index("country")
_LISTS = ("work", "unit", "var_a", "var_b", "country", "reading")


def tables() -> Iterator[Plan]:
    """The tables of the dataset as files, made by the process that then compares them with those of a release."""
    for name in TABLES:
        yield Plan(f"data/{name}", "en", partial(_table, name=name), about="releases")


def introductions(archive: Archive, language: str) -> Iterator[Plan]:
    """The page of the dataset in one language, with the English one the rows that are searched on it."""
    path = archive.menu.address("dataset.html", language)
    yield Plan(path, language, partial(_introduction, path=path))
    if language == "en":
        yield Plan("assets/rows.js", language, _explorer_data)


def plans(archive: Archive) -> Iterator[Plan]:
    """The codebook, the rows work by work, the screening log."""
    yield Plan("codebook.html", "en", _codebook)
    yield Plan("screening.html", "en", _screening)
    for page in (page for pages in archive.row_pages.values() for page in pages):
        yield Plan(page.path, "en", partial(_rows, work=page.work, path=page.path))


def _introduction(given: Given, path: str) -> list[Page]:
    archive, words = given.archive, given.words
    values: dict[str, Any] = {
        "downloads": [_download(archive, words, name) for name in TABLES],
        "row_pages": [page for pages in archive.row_pages.values() for page in pages],
        "explorer": {
            "name": "ROWS",
            "columns": [{"name": n, "head": words.term("column", n), "list": n in _LISTS} for n in _EXPLORED],
            "link": "effect_id",
            "hidden": [],
            "labels": _labels(archive, words),
            "words": {**dict(words.table["pages"]["explorer"].items()), "point": words.numerals.point},
        },
        "current": "dataset",
    }
    return [Page(path, "dataset.html", words.say("title.dataset"), values, words)]


def _codebook(given: Given) -> list[Page]:
    values = {"tables": TABLES.values(), "vocabulary": given.archive.dataset.vocabulary, "current": "dataset"}
    return [Page("codebook.html", "codebook.html", given.words.say("title.codebook"), values, given.words)]


def _screening(given: Given) -> list[Page]:
    values = {"rows": given.archive.table("screened.csv"), "current": "dataset"}
    return [Page("screening.html", "screening.html", given.words.say("title.screening"), values, given.words)]


def _rows(given: Given, work: str, path: str) -> list[Page]:
    archive = given.archive
    page = next(page for page in archive.row_pages[work] if page.path == path)
    return [Page(path, "rows.html", _title(archive, page), _row_values(archive, page), given.words)]


def _title(archive: Archive, page: RowPage) -> str:
    return f"{archive.short(page.work)} {page.part}".strip()


def _row_values(archive: Archive, page: RowPage) -> Mapping[str, Any]:
    """What all rows of a page share is said once; the rest are columns."""
    columns = _columns(page.rows)
    # Of a single row nothing is shared: hoisting would empty it.
    shared = {name: cells[0] for name, cells in columns.items() if len(cells) > 1 and len(set(cells)) == 1}
    return {
        "page": page,
        "siblings": archive.row_pages[page.work],
        "shared": shared,
        # A column that says the same in every row pushes those that differ off a narrow screen.
        "columns": [name for name in columns if name not in shared],
        "unit": page.rows.column("unit")[0],
        "used": _users(archive, page.rows.column("effect_id")),
        "current": "dataset",
    }


def _columns(rows: Rows) -> Mapping[str, Sequence[Any]]:
    """The columns of `effects.csv` that are filled on this page, and the sample's, with their cells."""
    names = [
        "label",
        *(c.name for c in TABLES["effects.csv"].columns if c.name not in ("effect_id", "since")),
        "country",
        "cycle",
        "school_level",
    ]
    skipped = ("sample_id", "var_a", "var_b", "value", "n")
    cells = {name: rows.column(name) for name in names if name not in skipped}
    return {name: column for name, column in cells.items() if any(cell not in (None, "") for cell in column)}


def _users(archive: Archive, effects: Sequence[str]) -> list[str]:
    """The analyses with an estimate that rests on one of these effects."""
    return [name for _, name in sorted({user for effect in effects for user in archive.users.get(effect, ())})]


def _table(given: Given, name: str) -> list[File]:
    rows = given.archive.table(name)
    # Without the line of the file and the cell's text: both are of the working copy, not of the data.
    columns = [c for c in (rows.table.cells if rows else ()) if c not in ("line", "value_text")]
    return [table_file(f"data/{name}", columns, rows.cells(columns), len(rows))]


def _download(archive: Archive, words: Words, name: str) -> Mapping[str, Any]:
    rows = archive.table(name)
    # In this language where it is worded; the codebook's own text is English.
    meaning = words.table.get("table_meaning", {}).get(name, TABLES[name].meaning)
    path = table_path(f"data/{name}", len(rows))
    packed = path.endswith(".gz")
    return {"name": path.removeprefix("data/"), "path": path, "packed": packed, "rows": len(rows), "meaning": meaning}


_MOST_IN_A_SCRIPT = 400  # rows: some 50 kB, which a slow phone has in a third of a second


def _explorer_data(given: Given) -> Iterator[File]:
    """All effect rows as scripts, because a page opened from disk may not read a file; no row is left out.

    One script lists the others, with what each holds of every column that rows can be chosen by: the page reads only
    those that can hold what is asked for, so what it reads does not grow with the data.
    """
    archive, words = given.archive, given.words
    # Asked for as a whole: one by one half a million places are as many questions that somebody keeps.
    row_pages = {
        row: page.path
        for found in archive.row_pages.values()
        for page in found
        for row in page.rows.column("effect_id")
    }
    parts = []
    for number, part in enumerate(_scripted(archive.table("effects.csv")), start=1):
        name, path = f"ROWS_{number}", f"assets/rows-{number}.js"
        table = [_explored_row(row_pages, words, cells) for cells in part.cells(_EXPLORED)]
        yield path, script_data(name, script_table(table))
        holds = {column: sorted({row[_EXPLORED.index(column)] for row in table} - {""}) for column in _LISTS}
        parts.append({"name": name, "script": path, "k": len(table), "holds": holds})
    yield "assets/rows.js", script_data("ROWS", {"labels": {}, "parts": parts})


def _scripted(rows: Rows) -> Iterator[Rows]:
    """The rows work by work, those of a large work country by country, as many together as one script may hold."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, (work, country) in enumerate(rows.cells(("work", "country"))):
        groups.setdefault((work, str(country or "")), []).append(place)
    works = {work: number for number, work in enumerate(dict.fromkeys(work for work, _ in groups))}
    part: list[int] = []
    for _, group in sorted(groups.items(), key=lambda item: (works[item[0][0]], item[0][1])):
        if part and len(part) + len(group) > _MOST_IN_A_SCRIPT:
            yield rows.pick(part)
            part = []
        part = part + group
    if part:
        yield rows.pick(part)


def _explored_row(row_pages: Mapping[str, str], words: Words, cells: Sequence[Any]) -> list[Any]:
    """The cells of a row as the explorer shows them, and the page it stands on."""
    shown = [*cells, row_pages[cells[_EXPLORED.index("effect_id")]]]
    shown[_COUNTRY] = _shown_cell(words, shown[_COUNTRY], "country")
    return shown


def _shown_cell(words: Words, cell: Any, column: str) -> Any:
    return words.country(str(cell or "")) if column == "country" else cell


def _labels(archive: Archive, words: Words) -> Mapping[str, Mapping[str, str]]:
    """How the keys of the explorer are shown in a language: works as they are cited, constructs and units by name."""
    rows = archive.table("effects.csv")
    english = load_words("en")
    cells = {name: set(rows.column(name)) for name in _LISTS}
    held = {name: sorted({_shown_cell(english, c, name) for c in found} - {"", None}) for name, found in cells.items()}
    shown: Mapping[str, Callable[[str], str]] = {
        "work": lambda key: words.cited(archive.short(key)),
        "unit": partial(words.term, "row_unit"),
        "var_a": partial(words.term, "construct"),
        "var_b": partial(words.term, "construct"),
        "country": words.country,
        "reading": partial(words.term, "reading"),
    }
    return {name: {key: shown[name](key) for key in keys} for name, keys in held.items()}
