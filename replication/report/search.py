"""The search index of a language: what can be found, as a script, because a page opened from disk may not read a file.

Entries come in the order in which equally good hits are listed: pages, headings and questions first, numbers last.
A word finds its synonyms (those of `report.toml`, and the names of a country in every language and by code).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from replication.digests import digest_of
from replication.report.archive import Archive, Record
from replication.report.making import File, Given, Plan
from replication.report.menu import Menu
from replication.report.view import headings_of
from replication.report.words import Words

__all__ = ["Headings", "headings_in", "plan", "script_data", "script_table", "search_index"]

Headings = Mapping[str, Sequence[tuple[str, Markup]]]
"""The places and texts of the headings of each page, by its path."""
Entry = tuple[str, str, str]
"""Title, description, and path from the report's root."""


def headings_in(folder: Path, menu: Menu) -> dict[str, list[tuple[str, Markup]]]:
    """The headings of each named page in each language, by its path, read from the finished pages in a folder."""
    found = {menu.address(page.path, language) for page in menu.pages for language in menu.languages}
    return {path: headings_of((folder / path).read_text(encoding="utf-8")) for path in sorted(found)}


def plan(language: str, headings: Headings) -> Plan:
    """The search of a language, in which these headings of finished pages are found."""
    path = "assets/search-index.js" if language == "en" else f"assets/search-index-{language}.js"

    def make(given: Given) -> Iterator[File]:
        yield path, search_index(given.archive, given.spoken, language, headings)

    return Plan(path, language, make, outside=digest_of(repr(headings)))


def search_index(archive: Archive, spoken: Mapping[str, Words], language: str, headings: Headings) -> str:
    """The script with everything that can be found in a language.

    Parameters
    ----------
    archive : what the report shows.
    spoken : the words of every language of the report.
    language : the language of the index.
    headings : the headings of the pages of the report.
    """
    words = spoken[language]
    entries = [
        *_pages(archive, words, headings),
        *_works(archive, words),
        *_places(archive, spoken["en"], words),
        *_concepts(archive, words),
        *_samples(archive, words),
        *_measures(archive, words),
        *_results(archive, words),
        *_claims(archive, words),
    ]
    known: dict[str, int] = {}
    coded = [
        [known.setdefault(title, len(known)), known.setdefault(about, len(known)), *_coded_place(known, path)]
        for title, about, path in dict.fromkeys(_addressed(archive, words, entry) for entry in entries)
        if path
    ]
    # The same few texts stand in hundreds of entries: by number the script is a third as long.
    return script_data("SEARCH", {"texts": list(known), "entries": coded, "same": _synonyms(archive, spoken)})


def script_data(name: str, content: object) -> str:
    """JSON as a script that sets one global, in a form that cannot end a script element or a line."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # U+2028 and U+2029 end a line in older JavaScript, though JSON allows them.
    safe = body.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f"window.{name}={safe};\n"


def script_table(rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """A table for a script, column by column: one value where all are alike, repeated texts by number, else every cell.

    The same few texts stand in hundreds of rows: so coded a table is less than half as long as row by row.
    """
    columns: list[Any] = []
    for cells in zip(*rows, strict=True):
        number = {cell: at for at, cell in enumerate(dict.fromkeys(cells))}
        if len(number) == 1:
            columns.append({"same": cells[0]})
        # Numbers are short as they are: only texts gain, and only where each stands twice or more.
        elif 2 * len(number) <= len(cells) and any(isinstance(cell, str) for cell in number):
            columns.append({"of": list(number), "at": [number[cell] for cell in cells]})
        else:
            columns.append(cells)
    return {"k": len(rows), "columns": columns}


def _addressed(archive: Archive, words: Words, entry: Entry) -> Entry:
    """An entry with the address of its page in the language, and a word on it where that page is in English alone."""
    title, about, path = entry
    page, mark, rest = path.partition("#")
    place = archive.menu.address(page, words.language)
    # Said before the click, as the page that opens is in another language than the list.
    if words.language != "en" and place == page and not page.startswith(f"{words.language}/"):
        about += f" ({words.say('site.english')})"
    return title, about, f"{place}{mark}{rest}"


def _coded_place(known: dict[str, int], path: str) -> tuple[int, str]:
    page, mark, fragment = path.partition("#")
    return known.setdefault(page, len(known)), fragment if mark else ""


def _synonyms(archive: Archive, spoken: Mapping[str, Words]) -> list[list[str]]:
    """Groups of words that find each other: those of the settings, and each country by its names and its code."""
    groups = [list(group) for group in archive.menu.synonyms]
    for country in _countries(archive):
        # Single words only: a reader types "USA", and the words of a long name find themselves.
        names = {country, *(words.country(country) for words in spoken.values())}
        groups.append(sorted(name for name in names if name and " " not in name))
    return [group for group in groups if len(group) > 1]


def _countries(archive: Archive) -> list[str]:
    return sorted({str(row["country"]) for row in archive.table("samples.csv") if row["country"]})


def _pages(archive: Archive, words: Words, headings: Headings) -> Iterator[Entry]:
    for page in archive.menu.pages:
        kind = words.say("overview.findings" if page.finding else "site.page")
        yield words.say(f"title.{page.name}"), kind, archive.menu.address(page.path, words.language)
    for page in archive.menu.pages:
        path = archive.menu.address(page.path, words.language)
        for place, text in headings.get(path, ()):
            yield Markup(text).striptags(), words.say(f"title.{page.name}"), f"{path}#{place}"


def _works(archive: Archive, words: Words) -> Iterator[Entry]:
    for key in archive.dataset.works:
        reference = archive.dataset.references.get(key)
        title = reference.title if reference else ""
        authors = "; ".join(reference.authors) if reference else ""
        place = archive.menu.address(f"works/{key}.html", words.language)
        yield words.cited(archive.short(key)), f"{title} {authors} {key}", place


def _places(archive: Archive, english: Words, words: Words) -> Iterator[Entry]:
    """Each country with how many samples of it there are, which leads to their rows in the explorer."""
    counts: dict[str, dict[str, int]] = {}
    for row in archive.table("samples.csv"):
        # Whole samples alone: a part would count the same persons again.
        if row["country"] and not row["subgroup_of"]:
            # By the English name, so that a code and a name of one country are counted together.
            units = counts.setdefault(english.country(str(row["country"])), {})
            units[row["unit"]] = units.get(row["unit"], 0) + 1
    page = archive.menu.address("dataset.html", words.language)
    for country, units in sorted(counts.items()):
        about = "; ".join(f"{words.say('search.samples', k=k)}, {words.term('row_unit', u)}" for u, k in units.items())
        yield (
            words.country(country),
            f"{words.say('table.country')}: {about}",
            f"{page}?country={quote(country)}#explorer",
        )


def _concepts(archive: Archive, words: Words) -> Iterator[Entry]:
    """Constructs, symbols, verdicts and levels of certainty, with what each means."""
    page = archive.menu.address("methods.html", words.language)
    for name in archive.dataset.vocabulary.constructs:
        # To the answer where there is one, else to what the word stands for.
        finding = next((p for p in archive.menu.findings if p == name), "")
        place = f"findings/{finding}.html" if finding else "codebook.html"
        about = f"{words.say('search.construct')} {name}"
        yield words.term("construct", name), about, archive.menu.address(place, words.language)
    for place, group in (("symbols", "symbol"), ("certainty", "certainty_meaning")):
        for name, meaning in words.table[group].items():
            yield words.label(name), str(meaning), f"{page}#{place}"
    for name in words.table["verdict"]:
        yield words.term("verdict", name), words.term("verdict_meaning", name), f"{page}#verdicts"


def _samples(archive: Archive, words: Words) -> Iterator[Entry]:
    for row in archive.table("samples.csv"):
        country = words.country(str(row["country"] or ""))
        label = words.of_data(str(row["label"])) if row["label"] else f"{country} {row['cycle'] or ''}".strip()
        parts = [words.cited(archive.short(row["work"])), words.term("row_unit", row["unit"]), country]
        about = f"{words.say('table.sample')}: {', '.join(filter(None, parts))}"
        yield label or row["sample_id"], about, archive.place(row["sample_id"])


def _measures(archive: Archive, words: Words) -> Iterator[Entry]:
    for row in archive.table("measures.csv"):
        construct = words.term("construct", row["variable"])
        work = words.cited(archive.short(row["work"]))
        about = f"{words.say('search.measure')} ({construct}), {work}: {row['items'] or ''}"
        yield row["measure"], about, archive.menu.address(f"works/{row['work']}.html", words.language)


def _results(archive: Archive, words: Words) -> Iterator[Entry]:
    for trap in archive.dataset.traps:
        yield words.of_data(trap.title), words.say("title.traps"), archive.place(f"trap:{trap.id}")
    for outcome in archive.outcomes:
        for estimate in outcome["estimates"]:
            value = words.metric(estimate["value"], estimate["metric"])
            about = f"{words.say('table.estimate')}, {_named(words, outcome)}: {value}"
            yield words.label(estimate["label"]), about, archive.place(estimate["id"], outcome["id"])


def _named(words: Words, outcome: Record) -> str:
    """The title of a finding in this language; of other analyses the one they have."""
    titles: Mapping[str, Any] = words.table["pages"]["title"]
    return str(titles.get(outcome["id"]) or words.label(outcome["title"]))


def _claims(archive: Archive, words: Words) -> Iterator[Entry]:
    for claim in archive.claims:
        part = "" if claim.subgroup in ("", "all") else f", {words.of_data(claim.subgroup)}"
        verdict = words.term("verdict", archive.verdict(claim))
        about = f"{words.cited(archive.short(claim.work))}{part}: {claim.printed.get('value', '')} ({verdict})"
        page, _, fragment = archive.place(claim.id).partition("#")
        yield words.of_data(claim.quantity), about, f"{archive.menu.address(page, words.language)}#{fragment}"
