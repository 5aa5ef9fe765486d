"""The report folder: pages made from outcomes and the dataset, in order.

Nothing is computed here. Pages are described by `pages/`, rendered by jinja2 with everything escaped, and written
under one folder that opens from disk. The same outcomes and dataset give the same bytes, but for the stamp.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from replication.dataset import Dataset
from replication.report.archive import LICENCE, Archive, anchor, make_archive, quoted_by, table_page
from replication.report.bundle import make_bundle
from replication.report.cells import estimate_cells, facts, filled, kinds, rest
from replication.report.gallery import Gallery, draw_gallery
from replication.report.menu import Menu
from replication.report.pages import (
    analyses,
    checklist,
    claims,
    data,
    findings,
    overview,
    versions,
    whole,
    works,
)
from replication.report.pdf import typeset
from replication.report.releases import Release
from replication.report.search import search_index
from replication.report.view import Page, View, headings_of
from replication.report.words import Words, load_words

__all__ = ["all_pages", "build_report", "versions_page"]


def all_pages(
    archive: Archive,
    words: Mapping[str, Words],
    galleries: Mapping[str, Gallery],
    write: Callable[[str, str], None],
    reports: Path | None,
    folder: Path,
) -> Iterator[Page]:
    """Every page of the report; files that pages offer for download are written into `folder` on the way."""
    english = words["en"]
    for language, spoken in words.items():
        yield overview.page(archive, spoken)
        if archive.menu.holds("article"):
            yield overview.article_page(archive, spoken)
        yield from findings.pages(archive, spoken, galleries[language])
        yield from works.pages(archive, spoken, galleries[language])
        yield from data.introductions(archive, spoken, write)
        yield from whole.pages(archive, spoken, galleries[language])
        yield from analyses.pages(archive, spoken, galleries[language])
        yield from claims.pages(archive, spoken, write)
    yield from data.pages(archive, english)
    yield whole.provenance(archive, english)
    yield checklist.page(archive, english, str(archive.run.get("release", "")) or english.say("site.unreleased"))
    yield from versions.pages(archive, english, reports, folder, write)


_HERE = Path(__file__).parent
# In the pages themselves: a style sheet asked for on its own keeps a phone on a slow network waiting half a second
# longer. What only scripts and paper need (later.css) is asked for at the end of a page, where nothing waits for it.
_SHEETS = {name: (_HERE / "assets" / f"{name}.css").read_text(encoding="utf-8") for name in ("site", "figures")}


def _policy() -> str:
    """What a page may load: files of the report, and within the page the style sheets with these digests."""
    digests = (hashlib.sha256(sheet.encode()).digest() for sheet in _SHEETS.values())
    styles = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    # blob: a drawing that the browser turns into a PNG
    allowed = f"default-src 'none'; style-src 'self' {styles}; script-src 'self'; img-src 'self' blob:; "
    return allowed + "base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes text files below the report's folder."""

    folder: Path

    def __call__(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")


def build_report(
    folder: Path,
    outcomes: Sequence[Mapping[str, Any]],
    dataset: Dataset,
    run: Mapping[str, object],
    reports: Path | None = None,
) -> str:
    """Write every page of the report into `folder`, its PDF and the editor's bundle.

    Returns why there is no PDF, in a sentence; empty where there is one.

    Parameters
    ----------
    folder : a folder that holds at most `outcomes/`.
    outcomes : the outcomes as plain data, in the order they are shown.
    dataset : the dataset they were made from.
    run : the stamp of the run; `release` in it is the version of a report to be frozen.
    reports : the folder of released reports to compare with; None for none.

    Raises
    ------
    UserError
        when a sentence has no template; the message names its key and the file to add it to.
    """
    archive = make_archive(dataset, outcomes, run)
    write = _Writer(folder)
    within = [f"{name}.css" for name in _SHEETS]
    shutil.copytree(_HERE / "assets", folder / "assets", ignore=shutil.ignore_patterns(*within), dirs_exist_ok=True)
    cited = {key: reference.short for key, reference in dataset.references.items()}
    words = {language: replace(load_words(language), names=cited) for language in archive.menu.languages}
    galleries = {language: draw_gallery(archive, spoken, archive.outcomes, write) for language, spoken in words.items()}
    findings.write_pools(archive, write)
    shared = {
        "release": str(run.get("release", "")) or words["en"].say("site.unreleased"),
        "beside": reports is not None and folder.parent.resolve() == reports.resolve(),
        "no_pdf": "",
        "failed": [outcome for outcome in archive.outcomes if outcome.get("failed")],
    }
    environment = _environment(archive.menu)
    values = {**overview.page(archive, words["en"]).values, **shared}
    # The pages are written while the PDF is set: neither waits for the other.
    with typeset(archive, words["en"], galleries["en"], values, folder) as paper:
        found = {archive.menu.address(page.path, language) for page in archive.menu.pages for language in words}
        headings: dict[str, list[tuple[str, Markup]]] = {}
        for page in all_pages(archive, words, galleries, write, reports, folder):
            text = _render(environment, archive, page, shared)
            write(page.path, text)
            if page.path in found:
                headings[page.path] = headings_of(text)
        for language in words:
            name = "search-index.js" if language == "en" else f"search-index-{language}.js"
            write(f"assets/{name}", search_index(archive, words, language, headings))
    if paper.failed:  # every page leads to the PDF, so every page says that there is none
        for page in all_pages(archive, words, galleries, write, reports, folder):
            write(page.path, _render(environment, archive, page, {**shared, "no_pdf": paper.failed}))
    (folder / "replication-bundle.zip").write_bytes(make_bundle(folder, archive, words["en"]))
    return paper.failed


def versions_page(releases: Sequence[Release]) -> str:
    """The page beside the reports: every release, and which of them are withdrawn.

    It is kept with the releases, so it leads to nothing that is not; before the first one, to the working version.
    """
    words = load_words("en")
    page = _environment(Menu(())).get_template("versions.html")
    newest = releases[-1].folder if releases else "latest"
    return page.render(releases=releases[::-1], newest=newest, say=words.say, date=words.date)


def _environment(menu: Menu) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        # Everything from the dataset is text of strangers: markup is what this code makes, and nothing else.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["anchor"] = anchor
    environment.globals["nav"] = {
        "main": [(page.name, page.path) for page in menu.pages if page.place == "main"],
        "more": [(page.name, page.path) for page in menu.pages],
    }
    environment.globals |= {"rest": rest, "facts": facts, "kinds": kinds, "filled": filled}
    environment.globals |= {"estimate_cells": estimate_cells, "parts": findings.parts, "headings_of": headings_of}
    environment.globals |= {"quoted_by": quoted_by, "policy": _policy()}
    environment.globals["sheets"] = {name: Markup(sheet) for name, sheet in _SHEETS.items()}
    environment.globals |= {"table_page": table_page, "most_rows": analyses.MOST_ROWS}
    environment.globals["licence"] = LICENCE
    return environment


def _render(environment: Environment, archive: Archive, page: Page, shared: Mapping[str, Any]) -> str:
    view = View(page.path, page.words, archive)
    values = {
        **shared,
        "view": view,
        "say": view.say,
        "release": str(archive.run.get("release", "")) or view.say("site.unreleased"),
        "words": page.words,
        "date": page.words.date,
        "archive": archive,
        "title": page.title,
        "others": list(_other_languages(page, archive.menu)),
        **page.values,
    }
    text = environment.get_template(page.template).render(values)
    return text if page.words.language == "en" else _marked(text, view)


def _marked(text: str, view: View) -> str:
    """A page in another language than English where every link to an English page says so.

    Done on the finished page, so that no template can forget it. Numbers and rows are marked for machines alone, and
    the foot of the page says where they lead: a word behind each of hundreds would hide them.
    """
    language = view.words.language
    word = f'<span class="abroad" lang="{language}">({view.words.say("site.english")})</span>'
    link = re.compile(
        rf'<a (?![^>]*hreflang)([^>]*href="{re.escape(view.up)}(?!{language}/)(\w[^"]*)"[^>]*)>(.*?)</a>', re.DOTALL
    )

    def mark(found: re.Match[str]) -> str:
        attributes, address, shown = found.groups()
        if not address.partition("#")[0].partition("?")[0].endswith(".html"):
            return found[0]
        if 'class="n"' in attributes or address.startswith("rows/"):
            return f'<a {attributes} hreflang="en">{shown}</a>'
        return f'<a {attributes} hreflang="en">{shown} {word}</a>'

    return link.sub(mark, text)


def _other_languages(page: Page, menu: Menu) -> Iterator[tuple[str, str]]:
    """The same page in the other languages: language and path."""
    plain = page.path.removeprefix(f"{page.words.language}/") if page.words.language != "en" else page.path
    if menu.is_translated(plain):
        for language in menu.languages:
            if language != page.words.language:
                yield language, menu.address(plain, language)
