"""The report folder: pages made from outcomes and the dataset, in order.

Nothing is computed here. Pages are described by `pages/`, rendered by jinja2 with everything escaped, and written
under one folder that opens from disk. The same outcomes and dataset give the same bytes, but for the stamp.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from replication import paths
from replication.dataset import Dataset
from replication.digests import digest_of, folder_digest
from replication.provenance import Cache, Sources, installed
from replication.report import bundle, search, templating
from replication.report.archive import LICENCE, Archive, anchor, make_archive, quoted_by, table_page
from replication.report.cells import estimate_cells, facts, filled, kinds, numeric, rest
from replication.report.consulted import Answers
from replication.report.gallery import Pictures
from replication.report.making import Before, Given, InTurn, Kept, Made, Plan, Source, Spread, read_before
from replication.report.menu import SETTINGS, Menu, make_menu
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
from replication.report.pdf import typeset, why_no_pdf
from replication.report.releases import Release
from replication.report.view import Page, View, headings_of
from replication.report.words import RULES, SHARED, Words, load_words
from replication.stored import write_outcome

__all__ = ["Workshop", "build_report", "versions_page", "with_templates"]

_HERE = Path(__file__).parent
# In the pages themselves: a style sheet asked for on its own keeps a phone on a slow network waiting half a second
# longer. What the first sight of a page needs (first.css) is in each; the rest (site.css) is in those a reader comes to
# from elsewhere, and the hundreds of others ask for it at their end, where nothing waits for it.
_SHEETS = {
    # without their comments, which nobody reads in a page
    name: re.sub(r"/\*.*?\*/\n", "", (_HERE / "assets" / f"{name}.css").read_text(encoding="utf-8"))
    for name in ("first", "site")
}


def _policy(sheets: Iterable[str]) -> Markup:
    """What a page may load: files of the report, and within the page these style sheets, by their digests."""
    digests = (hashlib.sha256(sheet.encode()).digest() for sheet in sheets)
    styles = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    # blob: a drawing that the browser turns into a PNG
    allowed = f"default-src 'none'; style-src 'self' {styles}; script-src 'self'; img-src 'self' blob:; "
    # Markup: quotes of its own kind stand in the attribute as they are, in each of hundreds of pages.
    return Markup(allowed + "base-uri 'none'; form-action 'none'")


_PACKAGES = ("jinja2", "markupsafe", "babel", "markdown-it-py", "typst")
"""The packages that make pages: other versions of them make other pages."""


def _plans(
    archive: Archive,
    pictures: Mapping[str, Pictures],
    reports: Path | None,
    folder: Path,
    made_by: str,
) -> Iterator[Plan]:
    """Every file of the report that is made from its archive, but the tables, which the page of changes reads."""
    # First, as it reads the release before: begun last it would keep one core busy and the others idle.
    yield from versions.plans(reports, folder, archive, made_by)
    for language in pictures:
        yield from findings.plans(archive, language)
        yield from overview.plans(archive, language)
        yield from analyses.figures(pictures[language], language)
        yield from works.plans(archive, language)
        yield from data.introductions(archive, language)
        yield from whole.plans(archive, language)
        yield from analyses.plans(archive, language)
        yield from claims.plans(archive, language)
    yield from data.plans(archive)
    yield Plan("provenance.html", "en", whole.provenance)
    yield Plan("checklist.html", "en", lambda given: [checklist.page(given.archive, given.words)])


@dataclass(frozen=True, slots=True, eq=False)
class Workshop:
    """What pages of a dataset are made with, whatever the outcomes: got ready while they are computed.

    `made_by` is the digest of what pages are made by without being seen to ask for it: code, settings, packages, some
    words.
    """

    menu: Menu
    words: Mapping[str, Words]
    environment: Environment
    made_by: str

    @classmethod
    def of(cls, dataset: Dataset) -> Workshop:
        """Read words and templates."""
        menu = make_menu(paths.analyses_dir(), article=bool(dataset.statements))
        names = {key: reference.short for key, reference in dataset.references.items()}
        words = {language: replace(load_words(language), names=names) for language in menu.languages}
        # All templates here, before processes part: each would read nearly all for itself.
        return cls(menu, words, with_templates(menu), _made_by(menu, dataset))


def build_report(
    folder: Path,
    outcomes: Sequence[Mapping[str, Any]],
    dataset: Dataset,
    run: Mapping[str, object],
    reports: Path | None = None,
    *,
    workshop: Workshop | None = None,
    before: Path | None = None,
    spread: Spread | None = None,
) -> str:
    """Write the outcomes into `folder`, every page of the report, its PDF and the editor's bundle.

    Returns why there is no PDF, in a sentence; empty where there is one.

    Parameters
    ----------
    folder : an empty folder.
    outcomes : the outcomes as plain data, in the order they are shown.
    dataset : the dataset they were made from.
    run : the stamp of the run; `release` in it is the version of a report to be frozen.
    reports : the folder of released reports to compare with; None for none.
    workshop : what pages of this dataset are made with, where that was got ready before.
    before : the report this one takes the place of: what nothing has changed of is taken from it, and the same is made
        possible for the next one. None where everything is to be made.
    spread : how the making is spread over processes; None for this one alone.

    Raises
    ------
    UserError
        when a sentence has no template; the message names its key and the file to add it to.
    """
    workshop = workshop or Workshop.of(dataset)
    archive = make_archive(dataset, outcomes, run, workshop.menu)
    # first.css stands in every page, so nobody asks for the file
    shutil.copytree(_HERE / "assets", folder / "assets", ignore=shutil.ignore_patterns("first.css"), dirs_exist_ok=True)
    beside = reports is not None and folder.parent.resolve() == reports.resolve()
    answers = Answers(archive, workshop.words)
    making = _Making(archive, outcomes, workshop, folder, reports, answers, before, spread or InTurn(), beside=beside)
    failed = why_no_pdf()
    no_pdf = making.all(failed)
    if no_pdf != failed:  # every page leads to the PDF, so every page says that there is none
        making.all(no_pdf)
    return no_pdf


@dataclass(frozen=True, slots=True, eq=False)
class _Making:
    """What the files of one report are made from, and where."""

    archive: Archive
    outcomes: Sequence[Mapping[str, Any]]
    workshop: Workshop
    folder: Path
    reports: Path | None
    answers: Answers
    before: Path | None
    spread: Spread
    beside: bool

    def all(self, no_pdf: str) -> str:
        """Make or take over every file; `no_pdf` says why no PDF is to be made, what comes back why there is none."""
        archive, words, shared = self.archive, self.workshop.words, self._shared(no_pdf)
        made_by = digest_of(self.workshop.made_by, repr(shared))
        old = read_before(self.before, made_by) if self.before else None
        pictures = {language: Pictures(archive, spoken, archive.outcomes) for language, spoken in words.items()}
        source = Source(archive, words, pictures, partial(_render, self.workshop.environment, shared))
        # The page of changes reads the tables: those of before are there when it is begun, the others are made first.
        tables = {plan: self._as_before(source, plan, old) for plan in data.tables()}
        anew, kept = [plan for plan, taken in tables.items() if not taken], Kept(made_by, self.answers)
        # The pages are made while the PDF is set: neither waits for the other.
        with typeset(shared, self.folder, old, self.answers, no_pdf) as paper:
            plans = [*paper.plans, *anew, *_plans(archive, pictures, self.reports, self.folder, made_by)]
            sources = {plan.name for plan in paper.plans}
            begun = self._begun(source, plans, old, self.spread)
            # Here, where others make pages meanwhile; what is made last reads them.
            for outcome in self.outcomes:
                write_outcome(self.folder, outcome)
            for one in begun:
                if one.name in sources:
                    paper.begin(one)
                else:
                    kept.add(one)
            for one in self._begun(source, self._last(), old, self.spread):
                kept.add(one)
        for one in chain(filter(None, tables.values()), paper.made):
            kept.add(one)
        if self.before is not None:
            kept.write(self.folder)
        return paper.failed

    def _as_before(self, source: Source, plan: Plan, old: Before | None) -> Made | None:
        """The files of a plan, there at once, where nothing behind them has changed; None where they are to be made."""
        known = old.same(plan, self.answers) if old else None
        # What was edited in the report before is made here.
        return (old.take(known, self.folder) or source.made(plan, self.folder)) if old and known else None

    def _last(self) -> Iterator[Plan]:
        """What is made of the finished pages, the longest first: the bundle, and the search in each language."""
        yield bundle.plan(self.folder)
        headings = search.headings_in(self.folder, self.workshop.menu)
        yield from (search.plan(language, headings) for language in self.workshop.words)

    def _shared(self, no_pdf: str) -> dict[str, Any]:
        """What every page is told besides its own."""
        failed = [{"id": o["id"], "title": o["title"]} for o in self.archive.outcomes if o.get("failed")]
        release = str(self.archive.run.get("release", ""))
        return {
            "release": release or self.workshop.words["en"].say("site.unreleased"),
            "beside": self.beside,
            "no_pdf": no_pdf,
            "failed": failed,
        }

    def _begun(self, source: Source, plans: Iterable[Plan], old: Before | None, spread: Spread) -> Iterator[Made]:
        """Begin to make what has changed, and take over the rest meanwhile: what is done, as it comes."""
        same: list[tuple[Plan, Before, Made]] = []
        left: dict[tuple[str, str], list[Plan]] = {}
        for plan in plans:
            known = old.same(plan, self.answers) if old else None
            if old and known:
                same.append((plan, old, known))
            else:
                left.setdefault((plan.language, plan.about or plan.name), []).append(plan)

        # What shows the same figures is made in one process, which draws them once.
        def make(group: Sequence[Plan]) -> list[Made]:
            return [source.made(plan, self.folder) for plan in group]

        begun = spread.over(make, list(left.values()))
        # What was edited since is made here: who edits a report does so with a page or two.
        taken = [old.take(known, self.folder) or source.made(plan, self.folder) for plan, old, known in same]
        return chain(taken, chain.from_iterable(begun))


def _made_by(menu: Menu, dataset: Dataset) -> str:
    analyses_dir = paths.analyses_dir()
    files = [analyses_dir / name for name in (SETTINGS, checklist.FILE, *RULES)]
    # The names of countries are read in one more language than the report may speak.
    spoken = [load_words(language).table for language in (*menu.languages, "nb")]
    sources = Sources(_HERE.parent, analyses_dir, Cache(paths.cache_dir()))
    code = sources.digest(Path(__file__))
    sources.keep()
    return digest_of(
        code,
        folder_digest(_HERE / "assets"),
        *(part for file in files if file.is_file() for part in (file.name, file.read_bytes())),
        *map(installed, _PACKAGES),
        repr((menu, dataset.version, dataset.vocabulary, dataset.article)),
        repr([[table.get(name) for name in SHARED] for table in spoken]),
    )


def versions_page(releases: Sequence[Release]) -> str:
    """The page beside the reports: every release, and which of them are withdrawn.

    It is kept with the releases, so it leads to nothing that is not; before the first one, to the working version.
    """
    words = load_words("en")
    page = _environment(Menu(())).get_template("versions.html")
    newest = releases[-1].folder if releases else "latest"
    return page.render(releases=releases[::-1], newest=newest, say=words.say, date=words.date)


def with_templates(menu: Menu) -> Environment:
    """The environment of pages with all templates read; new ones are compiled, and the cache keeps what comes of it."""
    environment = _environment(menu)
    for template in environment.list_templates(["html"]):
        environment.get_template(template)
    return environment


def _environment(menu: Menu) -> Environment:
    # Everything from the dataset is text of strangers: markup is what this code makes, and nothing else.
    environment = templating.environment(escaped=True)
    environment.filters["anchor"] = anchor
    environment.globals["navigation"] = _navigation(menu)
    environment.globals |= {"rest": rest, "facts": facts, "kinds": kinds, "filled": filled, "numeric": numeric}
    environment.globals |= {"estimate_cells": estimate_cells, "parts": findings.parts, "headings_of": headings_of}
    environment.globals |= {"quoted_by": quoted_by}
    first, *_ = _SHEETS.values()
    environment.globals["policy"] = {True: _policy(_SHEETS.values()), False: _policy([first])}
    environment.globals["sheets"] = {name: Markup(sheet) for name, sheet in _SHEETS.items()}
    environment.globals |= {"table_page": table_page, "most_rows": analyses.MOST_ROWS}
    environment.globals |= {"table_csv": analyses.table_csv, "most_listed": analyses.MOST_LISTED}
    environment.globals["licence"] = LICENCE
    return environment


def _navigation(menu: Menu) -> Callable[[View, str, bool], Markup]:
    """A function that gives the links to all named pages, or the main ones, as seen from the page at hand."""
    made: dict[tuple[tuple[str, ...], str, str, str, bool], Markup] = {}

    def links(view: View, current: str, main: bool) -> Markup:
        shown = [page for page in menu.pages if page.place == "main" or not main]
        names = tuple(view.say(f"nav.{page.name}") for page in shown)  # by each page, which is seen saying them
        # The same for all pages of a folder and language, of which there are hundreds.
        key = names, view.words.language, view.up, current, main
        if key not in made:
            made[key] = Markup("\n").join(
                Markup('<a href="{}"{}>{}</a>').format(
                    view.href(page.path), Markup(' aria-current="page"') if page.name == current else "", name
                )
                for page, name in zip(shown, names, strict=True)
            )
        return made[key]

    return links


def _render(environment: Environment, shared: Mapping[str, Any], given: Given, page: Page) -> str:
    archive = given.archive
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
        "entered": archive.menu.is_named(page.path),
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
