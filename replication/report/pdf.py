"""The report on paper: the same content in the same order, typeset by typst, tagged, with bookmarks and page numbers.

Fonts are those the compiler brings, and no date goes in, so the same input gives the same bytes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from replication.report.archive import FINDINGS, Archive
from replication.report.cells import kinds
from replication.report.figures import Label
from replication.report.gallery import Gallery, Picture
from replication.report.pages.common import claim_rows, pictures_of, sorted_rows, tally
from replication.report.pages.findings import SECTIONS, answers, in_section, once, section_of
from replication.report.words import Words

__all__ = ["typeset"]

_HERE = Path(__file__).parent
_VARIABLE = re.compile(r"var\((--f-[\w-]+)\)")
_LONGEST_TABLE, _WIDEST_TABLE = 26, 10
_COMPILE = """
import sys, typst
typst.compile(sys.argv[1], output=sys.argv[2], ignore_system_fonts=True, pdf_standards=["ua-1"])
"""
_SIZES = {"small": 10.0, "tick": 11.0, "label": 11.0}  # as in figures.css


@dataclass(frozen=True, slots=True, eq=False)
class _PlainLinks:
    """Sentences without links: works as cited in running text, claims as printed."""

    archive: Archive

    def number(self, target: str, text: str) -> Markup:
        del target
        return Markup(escape(text))

    def work(self, key: str) -> Markup:
        return Markup(escape(self.archive.short(key)))

    def claim(self, name: str) -> Markup:
        claim = self.archive.claim(name)
        return Markup(escape(claim.printed.get("value", name) if claim else name))

    def claimant(self, name: str) -> Markup:
        claim = self.archive.claim(name)
        return self.work(claim.work) if claim else Markup(escape(name))


@contextmanager
def typeset(
    archive: Archive, words: Words, gallery: Gallery, values: Mapping[str, Any], target: Path
) -> Iterator[None]:
    """Typeset a report to the PDF `target` while the block runs, in a process whose memory ends with it.

    Parameters
    ----------
    archive : what the report shows.
    words : its language.
    gallery : its figures.
    values : the values of the overview page, so that both say the same.
    target : the file to write.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = {picture.wide: picture for picture in gallery.values() if picture.drawing.wide}
        for number, picture in enumerate(pictures.values()):
            (folder / f"{number}.svg").write_text(_flattened(picture), encoding="utf-8")
        files = {path: f"{number}.svg" for number, path in enumerate(pictures)}
        source = folder / "report.typ"
        source.write_text(_source(archive, words, gallery, {**values, "files": files}), encoding="utf-8")
        command = [sys.executable, "-I", "-c", _COMPILE, str(source), str(target)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            yield
            errors = process.communicate()[1]
        if process.returncode:
            raise RuntimeError(f"the PDF could not be typeset (exit code {process.returncode}): {errors.strip()}")


def _source(archive: Archive, words: Words, gallery: Gallery, values: Mapping[str, Any]) -> str:
    links = _PlainLinks(archive)

    def sentence(item: Mapping[str, Any]) -> str:
        return str(words.sentence(item["key"], item["values"], links).unescape())

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["t"] = _text
    environment.globals |= {
        "sentence": sentence,
        "say": words.say,
        "words": words,
        "archive": archive,
        "kinds": kinds,
        "size_of": _size_of,
    }
    return environment.get_template("report.typ").render(
        **values,
        chapters=[_chapter(archive, gallery, name) for name in FINDINGS],
        claims=sorted_rows(archive),
        works=[(key, tally(claim_rows(archive, archive.claims_of(key)))) for key in archive.dataset.works],
        validation=archive.outcome("validation"),
        longest=_LONGEST_TABLE,
    )


def _chapter(archive: Archive, gallery: Gallery, name: str) -> Mapping[str, Any]:
    """A finding by sections: sentences, figures, and the tables that fit a page."""
    outcome = archive.outcome(name)
    sections = []
    if outcome:
        pictures = pictures_of(gallery, outcome)
        drawn = {picture.data.id for picture in pictures}
        for section in (*SECTIONS, "more"):
            found = {
                "name": section,
                "sentences": in_section(outcome["sentences"], section, "key"),
                "pictures": [p for p in pictures if section_of({"id": p.data.id}) == section],
                "tables": [t for t in in_section(once(outcome["tables"]), section) if _fits(t, drawn)],
            }
            if section == "answer":
                found["sentences"] = answers(outcome)
            if any(found[part] for part in ("sentences", "pictures", "tables")):
                sections.append(found)
    return {"name": name, "outcome": outcome, "sections": sections}


def _fits(table: Mapping[str, Any], drawn: set[str]) -> bool:
    """Whether a table is short enough for the page and says more than a figure or the list of claims does."""
    shown = table["id"] in drawn or section_of(table) == "published"
    return not shown and len(table["rows"]) <= _LONGEST_TABLE and len(table["columns"]) <= _WIDEST_TABLE


def _text(value: object) -> str:
    """Any text as a typst string, shown as it is."""
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


def _size_of(label: Label) -> float:
    """The font size of a label in pixels."""
    return next((size for css, size in _SIZES.items() if css in label.css.split()), 12.0)
