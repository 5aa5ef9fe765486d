"""The dataset: an explorer, every row with its place of reading, the codebook, the screening log, downloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from replication.dataset.schema import TABLES
from replication.report.archive import Archive, Record, RowPage
from replication.report.gallery import as_csv
from replication.report.search import script_data
from replication.report.view import Page
from replication.report.words import Words, load_words

__all__ = ["introductions", "pages"]

_EXPLORED = (
    "effect_id", "var_a", "var_b", "value", "n", "work", "label", "country", "cycle", "unit",
    "measure_a", "measure_b", "informant_a", "informant_b", "reading",
)  # fmt: skip
_LISTS = ("work", "unit", "var_a", "var_b", "country", "reading")


def introductions(archive: Archive, words: Words, write: Callable[[str, str], None]) -> Iterator[Page]:
    """The page of the dataset in one language; with the English one its downloads are written."""
    if words.language == "en":
        _write_explorer(archive, words, write)
    downloads = [_download(archive, words, name, write) for name in TABLES]
    values: dict[str, Any] = {
        "downloads": downloads,
        "row_pages": archive.row_pages,
        "explorer": {
            "name": "ROWS",
            "columns": [{"name": n, "head": words.term("column", n), "list": n in _LISTS} for n in _EXPLORED],
            "link": "effect_id",
            "hidden": [],
            "labels": _labels(archive, words),
            "words": {**words.table["pages"]["explorer"], "point": words.numerals.point},
        },
        "current": "dataset",
    }
    path = archive.menu.address("dataset.html", words.language)
    yield Page(path, "dataset.html", words.say("title.dataset"), values, words)


def pages(archive: Archive, words: Words) -> Iterator[Page]:
    """The codebook, the rows work by work, the screening log."""
    codebook = {"tables": TABLES.values(), "vocabulary": archive.dataset.vocabulary, "current": "dataset"}
    yield Page("codebook.html", "codebook.html", words.say("title.codebook"), codebook, words)
    screened = {"rows": archive.table("screened.csv"), "current": "dataset"}
    yield Page("screening.html", "screening.html", words.say("title.screening"), screened, words)
    for page in archive.row_pages:
        yield Page(page.path, "rows.html", _title(archive, page), _row_values(archive, page), words)


def _title(archive: Archive, page: RowPage) -> str:
    return f"{archive.short(page.work)} {page.part}".strip()


def _row_values(archive: Archive, page: RowPage) -> Mapping[str, Any]:
    """What all rows of a page share is said once; the rest are columns."""
    columns = _columns(page.rows)
    # Of a single row nothing is shared: hoisting would empty it.
    shared = [n for n in columns if len(page.rows) > 1 and len({row[n] for row in page.rows}) == 1]
    columns = [name for name in columns if name not in shared]
    return {
        "page": page,
        "siblings": [other for other in archive.row_pages if other.work == page.work],
        "shared": {name: page.rows[0][name] for name in shared},
        "columns": columns,
        "unit": page.rows[0]["unit"],
        "used": _users(archive, page.rows),
        "current": "dataset",
    }


def _columns(rows: Sequence[Record]) -> list[str]:
    """The columns of `effects.csv` that are filled on this page, and the sample's."""
    names = [
        "label",
        *(c.name for c in TABLES["effects.csv"].columns if c.name not in ("effect_id", "since")),
        "country",
        "cycle",
        "school_level",
    ]
    skipped = ("sample_id", "var_a", "var_b", "value", "n")
    return [n for n in names if n not in skipped and any(row[n] not in (None, "") for row in rows)]


def _users(archive: Archive, rows: Sequence[Record]) -> list[str]:
    """The analyses with an estimate that rests on one of these rows."""
    here = {row["effect_id"] for row in rows}
    return [o["id"] for o in archive.outcomes if any(here.intersection(e["rows"]) for e in o["estimates"])]


def _download(archive: Archive, words: Words, name: str, write: Callable[[str, str], None]) -> Mapping[str, Any]:
    rows = archive.table(name)
    columns = [c for c in (list(rows[0]) if rows else []) if c not in ("line", "value_text")]
    if words.language == "en":
        write(f"data/{name}", as_csv(columns, [[row[c] for c in columns] for row in rows]))
    meaning = words.table.get("table_meaning", {}).get(name, TABLES[name].meaning)
    return {"name": name, "path": f"data/{name}", "rows": len(rows), "meaning": meaning}


_MOST_IN_A_SCRIPT = 400  # rows: some 50 kB, which a slow phone has in a third of a second


def _write_explorer(archive: Archive, words: Words, write: Callable[[str, str], None]) -> None:
    """All effect rows as scripts, because a page opened from disk may not read a file; no row is left out.

    One script lists the others, with what each holds of every column that rows can be chosen by: the page reads only
    those that can hold what is asked for, so what it reads does not grow with the data.
    """
    parts = []
    for number, rows in enumerate(_scripted(archive.table("effects.csv")), start=1):
        name, path = f"ROWS_{number}", f"assets/rows-{number}.js"
        write(path, script_data(name, _coded(archive, words, rows)))
        holds = {column: sorted({_shown_cell(words, row, column) for row in rows} - {""}) for column in _LISTS}
        parts.append({"name": name, "script": path, "k": len(rows), "holds": holds})
    write("assets/rows.js", script_data("ROWS", {"labels": {}, "parts": parts}))


def _scripted(rows: Sequence[Record]) -> Iterator[list[Record]]:
    """The rows work by work, those of a large work country by country, as many together as one script may hold."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for row in rows:
        groups.setdefault((row["work"], str(row["country"] or "")), []).append(row)
    works = list(dict.fromkeys(work for work, _ in groups))
    part: list[Record] = []
    for _, group in sorted(groups.items(), key=lambda item: (works.index(item[0][0]), item[0][1])):
        if part and len(part) + len(group) > _MOST_IN_A_SCRIPT:
            yield part
            part = []
        part = part + group
    if part:
        yield part


def _coded(archive: Archive, names: Words, rows: Sequence[Record]) -> Mapping[str, Any]:
    words: dict[str, int] = {}
    table = []
    for row in rows:
        place = archive.place(row["effect_id"])
        cells = [_shown_cell(names, row, name) for name in _EXPLORED]
        # Words by number: the same few stand in hundreds of rows, and the script shrinks to a fraction.
        coded = [c if not isinstance(c, str) else [words.setdefault(c, len(words))] for c in cells]
        table.append([*coded, [words.setdefault(place.partition("#")[0], len(words))]])
    return {"words": list(words), "rows": table}


def _shown_cell(words: Words, row: Record, name: str) -> Any:
    return words.country(str(row[name] or "")) if name == "country" else row[name]


def _labels(archive: Archive, words: Words) -> Mapping[str, Mapping[str, str]]:
    """How the keys of the explorer are shown in a language: works as they are cited, constructs and units by name."""
    rows = archive.table("effects.csv")
    english = load_words("en")
    held = {name: sorted({_shown_cell(english, row, name) for row in rows} - {"", None}) for name in _LISTS}
    shown: Mapping[str, Callable[[str], str]] = {
        "work": lambda key: words.cited(archive.short(key)),
        "unit": partial(words.term, "row_unit"),
        "var_a": partial(words.term, "construct"),
        "var_b": partial(words.term, "construct"),
        "country": words.country,
        "reading": partial(words.term, "reading"),
    }
    return {name: {key: shown[name](key) for key in keys} for name, keys in held.items()}
