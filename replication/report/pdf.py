"""The report on paper in two volumes, in the order of the site, typeset by typst, tagged, with bookmarks.

The report itself holds what a reader of a journal expects; the appendix holds the rest of the findings, every claim and
every work. Fonts are those the compiler brings, and the only date is that of the release or of the commit, so the same
input gives the same bytes on any day. A letter they lack is shown as □, which the first page says. The tags, most of
the bytes, are packed. The pages never wait for the paper: when it cannot be made, they say why.
"""

from __future__ import annotations

import importlib.util
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from replication.analysis.failures import reason_of
from replication.analysis.outcome import SECTIONS
from replication.dataset.problems import shown
from replication.digests import digest_of, folder_digest
from replication.provenance import installed
from replication.report import templating, typesetting
from replication.report.archive import Archive, once
from replication.report.cells import kinds
from replication.report.consulted import Answers
from replication.report.figures import Canvas, Label
from replication.report.gallery import Gallery, Picture
from replication.report.making import Before, File, Given, Made, Plan, written
from replication.report.numbers import is_number
from replication.report.pages import overview
from replication.report.pages.claims import claim_rows, pictures_of, sorted_rows, tally
from replication.report.pages.findings import answers, in_section
from replication.report.templating import template_digests
from replication.report.words import Ref, Words
from replication.writing import temporary_folder

__all__ = ["VOLUMES", "Paper", "pieces", "typeset", "typesetter_is_there", "why_no_pdf"]

_HERE = Path(__file__).parent
_VARIABLE = re.compile(r"var\((--f-[\w-]+)\)")
_LONGEST_TABLE, _WIDEST_TABLE, _SHORT = 26, 10, 28
_LONGEST_WAIT = 600  # seconds; a whole report takes four
VOLUMES = ("report", "appendix")
"""The names of the two volumes, and of their files."""
_FILES = tuple(f"{volume}.pdf" for volume in VOLUMES)
_PLANS = ("the PDF", "the sources of the PDF")
"""What is kept of it: the questions asked for its sources, and the sources themselves, which seldom change."""
_IN_REPORT = ("answer", "sure", "cause", "change", "bodies", "bias", "school", "care")
_TEMPLATE = "report.typ"
_FAILED = ".failed"  # why there are no sources, beside what there is of them
_PAGE_ROOM, _POINTS = 660.0, 0.62  # points of a page a figure may take; points a pixel, so that it is as wide as text
_PACKAGES = ("typst", "pikepdf")
_SETTER = Path(typesetting.__file__)
_SIZES = {"result": 13.0, "small": 10.0, "tick": 11.0, "label": 11.0}  # as in figures.css


@dataclass(frozen=True, slots=True, eq=False)
class _PlainLinks:
    """Sentences without links: works as cited in running text, claims as printed."""

    archive: Archive

    def number(self, ref: Ref | None, text: str) -> Markup:
        del ref
        return escape(text)

    def work(self, key: str) -> Markup:
        return escape(self.archive.short(key))

    def claim(self, name: str) -> Markup:
        claim = self.archive.claim(name)
        return escape(claim.printed.get("value", name) if claim else name)

    def claimant(self, name: str) -> Markup:
        claim = self.archive.claim(name)
        return self.work(claim.work) if claim else escape(name)

    def code(self, text: str) -> Markup:
        return escape(text)

    record = code


@dataclass(slots=True)
class Paper:
    """What becomes of the PDF: `failed` says in a sentence why there is none, `made` what it was made from.

    `plans` are to be made among the pages, before them; `begin` is told when one is.
    """

    failed: str = ""
    made: tuple[Made, ...] = ()
    plans: tuple[Plan, ...] = ()
    begin: Callable[[Made], None] = lambda _: None


@contextmanager
def typeset(
    shared: Mapping[str, Any], target: Path, before: Before | None, answers: Answers, failed: str
) -> Iterator[Paper]:
    """Typeset both volumes into the folder `target` while the block runs, in processes whose memory ends with them.

    After the block the paper says whether there is a PDF. Nothing that goes wrong with it is raised. What was
    set before from the same is taken over.

    Parameters
    ----------
    shared : the values every page is given.
    target : the folder to write them into.
    before, answers : the report before, if there is one, and what is answered today to the questions put for it.
    failed : why there will be none; empty where it is to be tried.
    """
    outside = digest_of(_typesetter(), template_digests()[_TEMPLATE])
    taken = (
        before.taken(Plan(_PLANS[0], "en", lambda _: (), outside), answers, target) if before and not failed else None
    )
    if taken or failed:
        yield Paper(failed, tuple(filter(None, (taken, before.made.get(_PLANS[1]) if before else None))))
        return
    with temporary_folder("pdf") as folder:
        setting = _Setting(folder, target, before, answers)
        sources = Plan(_PLANS[0], "en", partial(_sources, folder=folder, shared=shared), outside, about=_PLANS[0])
        paper = Paper(plans=(sources,), begin=setting.begin)
        try:
            yield paper
        # Also on Ctrl-C: nobody would wait for the typesetter then, and its folder is about to go.
        except BaseException:
            setting.stop()
            raise
        done = setting.end()
        paper.failed, paper.made = done.failed, done.made


@dataclass(slots=True, eq=False)
class _Setting:
    """The setting of both volumes from sources in a folder: what it is made from, and the processes at work on it."""

    folder: Path
    target: Path
    before: Before | None
    answers: Answers
    sources: Made | None = None
    digest: str = ""
    same: Made | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def begin(self, sources: Made) -> None:
        """Begin to set the sources, which are written now, unless the report before was set from the same."""
        self.sources = sources
        if (self.folder / _FAILED).exists():
            return
        # Before anything is set: the compiler writes into the same folder.
        self.digest = digest_of(_typesetter(), folder_digest(self.folder))
        plan = Plan(_PLANS[1], "en", lambda _: (), self.digest)
        self.same = self.before.taken(plan, self.answers, self.target) if self.before else None
        if not self.same:
            # A process for each: what memory the compiler takes ends with it, and pages are made meanwhile. After an
            # edit these are few, and everything would wait for one volume after the other.
            for volume in VOLUMES:
                command = [sys.executable, "-I", str(_SETTER), str(self.folder / volume)]
                self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE))

    def stop(self) -> None:
        """End the processes, if there are any."""
        for process in self.processes:
            process.kill()
            process.communicate()

    def end(self) -> Paper:
        """Wait for the processes: why there is no PDF, or what was made."""
        refused = self.folder / _FAILED
        failed = refused.read_text(encoding="utf-8") if refused.exists() else ""
        for process in self.processes:
            failed = _waited_for(process) or failed
        if failed or self.sources is None:
            return Paper(failed)
        if self.same:
            files = self.same.files
        else:
            files = {name: written(self.target / name, (self.folder / name).read_bytes()) for name in _FILES}
        return Paper(made=(replace(self.sources, files=files), Made(_PLANS[1], files, {}, self.digest)))


def why_no_pdf() -> str:
    """Why there will be no PDF, in a sentence; empty where what sets it is installed."""
    if typesetter_is_there():
        return ""
    lacking = next((name for name in _PACKAGES if importlib.util.find_spec(name) is None), _PACKAGES[0])
    return f'it could not be set: {lacking} is not installed; pip install "tsr-replication[pdf]" brings it'


def typesetter_is_there() -> bool:
    """Whether the packages that set and pack the PDF are installed: they are an extra."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)


def _typesetter() -> str:
    return " ".join(map(installed, _PACKAGES))


def _sources(given: Given, folder: Path, shared: Mapping[str, Any]) -> Iterable[File]:
    """Write what both volumes are set from; where that fails, why. No file of it is part of the report."""
    try:
        _write_sources(folder, given, shared)
    except Exception as error:  # a page of paper is never worth the pages that need none
        (folder / _FAILED).write_text(f"it could not be set: {reason_of(error)}", encoding="utf-8")
    return ()


def _write_sources(folder: Path, given: Given, shared: Mapping[str, Any]) -> None:
    archive, words, gallery = given.archive, given.words, given.gallery
    values = {**overview.page(archive, words).values, **shared}
    chapters = [outcome for outcome in map(archive.outcome, archive.menu.findings) if outcome]
    shown = [picture for outcome in chapters for picture in pictures_of(gallery, outcome)]
    pictures = {picture.wide: picture for picture in shown if picture.drawing.wide}
    for number, picture in enumerate(pictures.values()):
        (folder / f"{number}.svg").write_text(_flattened(picture), encoding="utf-8")
    files = {path: f"{number}.svg" for number, path in enumerate(pictures)}
    for volume in VOLUMES:
        source = _source(archive, words, gallery, {**values, "files": files, "volume": volume})
        (folder / f"{volume}.typ").write_text(source, encoding="utf-8")


def _waited_for(process: subprocess.Popen[bytes]) -> str:
    """Why the typesetter made no PDF, in a sentence; empty where it made one."""
    try:
        errors = process.communicate(timeout=_LONGEST_WAIT)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"the typesetter did not end within {_LONGEST_WAIT // 60} minutes"
    if process.returncode < 0:
        return f"the typesetter was ended by the system (signal {-process.returncode})"
    if process.returncode:
        lines = errors.decode("utf-8", errors="replace").strip().splitlines()
        return f"the typesetter refused it: {shown(lines[-1] if lines else 'no word')}"
    return ""


def _source(archive: Archive, words: Words, gallery: Gallery, values: Mapping[str, Any]) -> str:
    links = _PlainLinks(archive)

    def sentence(item: Mapping[str, Any]) -> str:
        return str(words.sentence(item["key"], item["values"], links).unescape())

    environment = templating.environment(escaped=False)
    environment.filters["t"] = _text
    environment.globals |= {
        "sentence": sentence,
        "say": words.say,
        "words": words,
        "archive": archive,
        "kinds": kinds,
        "cells": partial(_cells, archive, words),
        "size_of": _size_of,
        "pieces": pieces,
        "widths": _widths,
        "scale": _POINTS,
    }
    return environment.get_template(_TEMPLATE).render(
        **values,
        chapters=[_chapter(archive, gallery, name, values["volume"]) for name in archive.menu.findings],
        day=_day(archive.run),
        claims=sorted_rows(archive),
        works=[(key, tally(claim_rows(archive, archive.claims_of(key)))) for key in archive.dataset.works],
        validation=archive.outcome("validation"),
        longest=_LONGEST_TABLE,
    )


def _day(run: Mapping[str, Any]) -> str:
    """The day on the cover: that of the release, else of the commit it was made from; empty where neither is known."""
    return str(run.get("time", ""))[:10] if run.get("release") else str(run.get("commit_date", ""))


def _chapter(archive: Archive, gallery: Gallery, name: str, volume: str) -> Mapping[str, Any]:
    """A finding by the sections of one volume: sentences, figures, and the tables that fit a page."""
    outcome = archive.outcome(name)
    sections = []
    if outcome:
        pictures = pictures_of(gallery, outcome)
        drawn = {picture.data.id for picture in pictures}
        for section in (s for s in SECTIONS if (s in _IN_REPORT) == (volume == "report")):
            found = {
                "name": section,
                "sentences": in_section(outcome["sentences"], section),
                "pictures": [p for p in pictures if p.data.section == section],
                "tables": [t for t in in_section(once(outcome["tables"]), section) if _fits(t, drawn)],
            }
            if section == "answer":
                found["sentences"] = answers(outcome)
            if any(found[part] for part in ("sentences", "pictures", "tables")):
                sections.append(found)
    return {"name": name, "outcome": outcome, "sections": sections}


def _fits(table: Mapping[str, Any], drawn: set[str]) -> bool:
    """Whether a table is short enough for the page and says more than a figure or the list of claims does."""
    shown = table["id"] in drawn or table["section"] == "published"
    return not shown and len(table["rows"]) <= _LONGEST_TABLE and len(table["columns"]) <= _WIDEST_TABLE


def _cells(archive: Archive, words: Words, table: Mapping[str, Any]) -> list[list[str]]:
    """The cells of a table row by row, worded as on its page."""
    shown = kinds(table)
    return [[_cell(archive, words, cell, kind) for cell, kind in zip(row, shown, strict=True)] for row in table["rows"]]


def _cell(archive: Archive, words: Words, cell: object, kind: str) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool) or is_number(cell):
        return words.number(cell, kind)
    if not isinstance(cell, str):
        return words.label(cell)  # type: ignore[arg-type]
    return words.cited(archive.short(cell)) if cell in archive.dataset.works else words.label(cell)


def _widths(rows: Sequence[Sequence[str]], shown: Sequence[str]) -> list[str]:
    """The width of each column: numbers and short words take what they need, the rest is for sentences."""
    short = [all(len(row[i]) < _SHORT for row in rows) for i in range(len(shown))]
    return ["auto" if kind or brief else "1fr" for kind, brief in zip(shown, short, strict=True)]


def _text(value: object) -> str:
    """Any text as a typst string, shown as it is."""
    # As a string literal: no text of the data can become a command of the typesetter.
    words = re.sub(r"[\x00-\x08\x0b-\x1f]", "", str(value)).replace("\\", "\\\\").replace('"', '\\"')
    return '#"' + words.replace("\n", " ") + '"'


def _flattened(picture: Picture) -> str:
    """The shapes of a drawing with the light colours written out, since the typesetter knows no variables."""
    assert picture.drawing.wide is not None
    return picture.drawing.wide.markup(picture.drawing.alt, style=f"<style>{_light_sheet()}</style>", labels=False)


@cache
def _light_sheet() -> str:
    sheet = (_HERE / "assets" / "figures.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"(--f-[\w-]+):([^;}]+)", sheet.partition("@media")[0]))
    kept = "\n".join(line for line in sheet.splitlines() if not line.startswith("@media"))
    return _VARIABLE.sub(lambda match: light[match[1]], kept)


def pieces(canvas: Canvas) -> list[tuple[float, float]]:
    """The heights at which a drawing is cut to fit pages: whole where it fits, else between two lines of text.

    A tall figure set smaller could not be read, and on one page it would run through the footer. Below each part but
    the last there is room for the axis, without which its marks would say nothing.
    """
    room = _PAGE_ROOM / _POINTS
    if canvas.height > room and canvas.foot:
        room -= canvas.foot[1] - canvas.foot[0]
    # Parts of like height, with a row to spare: a last part of three rows says nothing.
    part = min(room, canvas.height / max(1.0, math.ceil(canvas.height / room)) + 14)
    lines = sorted({label.y for label in canvas.labels if not label.turned})
    cuts = [0.0]
    while canvas.height - cuts[-1] > room:
        # A line of text reaches from 10 pixels above its base to 3 below; what is level with it stays with it.
        below = [y + 6 for y, after in pairwise(lines) if cuts[-1] + 60 < y + 6 <= cuts[-1] + part and after - y > 12]
        cuts.append(below[-1] if below else cuts[-1] + part)
    return list(pairwise([*cuts, canvas.height]))


def _size_of(label: Label) -> float:
    """The font size of a label in pixels."""
    return next((size for css, size in _SIZES.items() if css in label.css.split()), 12.0)
