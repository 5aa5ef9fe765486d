"""What a template is handed beside its values: links, numbers, words, and notes in Markdown made safe."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from replication.errors import UserError
from replication.report.archive import Archive, anchor
from replication.report.cells import PRINTED
from replication.report.numbers import METRIC_KINDS, is_number
from replication.report.rows import Rows
from replication.report.templating import escaped
from replication.report.words import Ref, Wording, Words

__all__ = ["Page", "View", "headings_of", "plain_prose", "prose", "web_address"]

Shown = TypeVar("Shown", bound=str)

_SMALL_WORD = re.compile(r"(?<![\w.~/-])(?!et\b|al\b)[a-z]{2,}(?![\w~/-])")
_ADDRESS = re.compile(r"\S+/\S+")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}(/\S*)?", re.IGNORECASE)


def web_address(text: str) -> str:
    """The http(s) address a text is, or stands for (a DOI, a domain with a path); empty when it is none.

    >>> web_address("10.1037/spq0000249"), web_address("javascript:alert(1)")
    ('https://doi.org/10.1037/spq0000249', '')
    """
    text = text.strip()
    if re.fullmatch(r"https?://\S+", text):
        return text
    if re.fullmatch(r"10\.\d{4,9}/\S+", text):
        return f"https://doi.org/{text}"
    # A dot alone is no address: "p.14" and file names have one, too.
    return f"https://{text}" if "/" in text and _DOMAIN.fullmatch(text) else ""


# Only what notes need. HTML, images and links with a text of their own stay off: a note is text of strangers, and an
# address is shown as what it is.
_MARKDOWN = MarkdownIt("zero").enable(["heading", "list", "backticks", "emphasis", "table"])
_MARKED = re.compile(r"[`*_\\\r\n\0]")
"""What the parser reads within a line; a text without it is only text."""
_LINKED = re.compile(
    r"(?P<address>https?://[^\s<>()]+[^\s<>().,;:])"
    r"|(?<![\w/.-])(?P<id>[a-z][a-z0-9]{2,39}(?:-[a-z]?\d{2,4})?)(?![\w/-])"
)


def prose(text: str, to: Callable[[str], str], level: int = 3) -> Markup:
    """A note in Markdown as markup: headings, lists, paragraphs, emphasis, code, addresses; known ids become links.

    Parameters
    ----------
    text : the note.
    to : the address of an id, or nothing.
    level : the heading level a first-order heading becomes.
    """
    tokens = _MARKDOWN.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, level + int(token.tag[1]) - 1)}"
    return _rendered(tokens, to)


def plain_prose(text: str, to: Callable[[str], str], named: Callable[[str], str] = str) -> Markup:
    """One line of running text with ids linked; `named` says how an id is shown."""
    if not _MARKED.search(text):  # nearly all of thousands of cells: the parser would hand it back as it is
        return _linked(text, to, named)
    return _rendered(_MARKDOWN.parseInline(text), to, named)


def _rendered(tokens: Sequence[Token], to: Callable[[str], str], named: Callable[[str], str] = str) -> Markup:
    for token in tokens:
        for child in token.children or ():
            if child.type == "text":
                # Escaped here, link by link: the renderer is told to leave it as it is.
                child.type, child.content = "html_inline", _linked(child.content, to, named)
    return Markup(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def _linked(text: str, to: Callable[[str], str], named: Callable[[str], str]) -> Markup:
    """Text with its addresses, and the ids `to` knows, as links; everything else escaped."""
    parts: list[str] = []
    start = 0
    for match in _LINKED.finditer(text):
        address, name = match.groups()
        shown, target = (address, address) if address else (named(name), to(name))
        if not target and shown == name:  # a word that is no id, as most are
            continue
        look = ' class="out" rel="noreferrer"' if address else ""
        link = f'<a{look} href="{escape(target)}">{escape(shown)}</a>' if target else escape(shown)
        parts += [escape(text[start : match.start()]), link]
        start = match.end()
    return Markup("".join([*parts, escape(text[start:])]))


_HEADING = re.compile(
    r'<h2(?: id="(?P<own>[^"]+)")?[^>]*>(?P<text>.*?)</h2>(?:</summary>\s*<div id="(?P<after>[^"]+)")?', re.DOTALL
)
_BEFORE = re.compile(r' id="([^"]+)"[^>]*>\s*(?:<details[^>]*>\s*<summary>)?\s*')
"""What stands before a heading that has the place of the part it opens."""
_TAGS = re.compile(r"<[^>]+>")
_FEW_HEADINGS = 4


def headings_of(body: str) -> list[tuple[str, Markup]]:
    """The contents of a page: place and words of each heading that has a place; none for a page of few headings.

    Read from the finished page, so that no heading can be missing from the contents of any page.

    >>> headings_of("".join(f'<section id="s{i}"><h2>Part {i}</h2></section>' for i in range(4)))[-1]
    ('s3', Markup('Part 3'))
    """
    if body.count("<h2") < _FEW_HEADINGS:  # most pages, and looking for the places of headings takes its time
        return []
    found = []
    for heading in _HEADING.finditer(body):
        # From the heading backwards: a page has a dozen of them and hundreds of places.
        before = _BEFORE.fullmatch(body, max(0, body.rfind(" id=", 0, heading.start())), heading.start())
        place = before[1] if before else heading["own"] or heading["after"]
        if place:
            found.append((place, Markup(_TAGS.sub("", heading["text"]))))
    return found if len(found) >= _FEW_HEADINGS else []


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One page to render: where it goes, its template, what the template is given."""

    path: str
    template: str
    title: str
    values: Mapping[str, Any]
    words: Words


def _once_a_page(shown: Callable[[View, str], Shown]) -> Callable[[View, str], Shown]:
    """A way of showing a text that is gone once for each text of a page: cells repeat a few texts hundreds of times."""
    name = shown.__name__

    @wraps(shown)
    def known(view: View, text: str) -> Shown:
        found: Shown | None = view.kept.get((name, text))
        if found is None:
            found = view.kept[name, text] = shown(view, text)
        return found

    return known


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Links and numbers as seen from one page. `outcome` is the analysis whose ids are looked up first."""

    path: str
    words: Words
    archive: Archive
    # What was shown on this page so far. Of each page its own: links differ, and each page is seen asking for its own.
    kept: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    @property
    def up(self) -> str:
        """The way from this page to the report's root."""
        return "../" * self.path.count("/")

    def href(self, target: str) -> str:
        """The relative address of a page of the report; in another language where that page has one."""
        page, _, fragment = target.partition("#")
        page = self.archive.menu.address(page, self.words.language)
        # Within the page: a full address would load it anew in some browsers.
        if page == self.path and fragment:
            return f"#{fragment}"
        return self.up + page + (f"#{fragment}" if fragment else "")

    def to(self, name: str, outcome: str = "") -> str:
        """The address of what an id names, or nothing."""
        place = self.archive.place(name, outcome)
        return self.href(place) if place else ""

    def link(self, name: str, text: str, outcome: str = "", css: str = "") -> Markup:
        """Text linked to what an id names; plain text where the id leads nowhere."""
        return self.anchor(self.to(name, outcome), text, css)

    def by_page(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Ids by the address of the first of each page they stand on; under no address those that lead nowhere."""
        found: dict[str, list[str]] = {}
        first: dict[str, str] = {}
        for name in names:
            address = self.to(name)
            found.setdefault(first.setdefault(address.partition("#")[0], address), []).append(name)
        return found

    def anchor(self, address: str, text: str, css: str = "") -> Markup:
        """Text linked to an address within the report."""
        if not address:
            return escape(text)
        look = f' class="{escaped(css)}"' if css else ""
        return Markup(f'<a href="{escaped(address)}"{look}>{escaped(text)}</a>')

    def number(self, value: object, name: str = "", kind: str = "", outcome: str = "") -> Markup:
        """A number linked to what stands behind it."""
        text = self.words.number(value, kind)
        return self.link(name, text, outcome, "n") if name and value is not None else escape(text)

    def metric(self, value: float | None, metric: str, name: str = "", outcome: str = "") -> Markup:
        """The value of an estimate in its unit, linked."""
        return self.number(value, name, METRIC_KINDS.get(metric, "measure"), outcome)

    def behind(self, ref: Ref | None, outcome: str) -> str:
        """The address of what stands behind a row of a result table; empty where nothing does.

        Raises
        ------
        UserError
            when the row names something the report does not hold.
        """
        place = self.archive.at(ref["kind"], ref["id"], outcome) if ref else ""
        if ref and not place:
            raise UserError(f'a row of a table of {outcome} leads to {ref["kind"]} "{ref["id"]}", which is nowhere')
        return self.href(place) if place else ""

    def row(
        self, row: Sequence[object], columns: Sequence[int], kinds: Sequence[str], behind: str, table: str
    ) -> Markup:
        """These columns of a row of a result table, with one link to what stands behind the row, else to the table.

        The first cell bears it, or where that names a work the first number. A link in every cell would double a page,
        and a reader at the keyboard would pass it ten times in a row. A table on this page leads nowhere further.
        """
        first, *rest = columns
        elsewhere = "" if table.startswith("#") else table
        # As text: a label is no work, and no key to look one up by.
        address = "" if behind and str(row[first]) not in self.archive.dataset.works else behind or elsewhere
        # Put together here and not in a template, which takes three times as long over the tens of thousands of cells.
        # Cells and rows end where the next begins, as HTML allows: the ends were a tenth of these pages. A head in a
        # column of heads is that of its row without saying so.
        found = [f"<tr><th>{'' if row[first] is None else self.head(row[first], behind)}"]
        for i in rest:
            cell = "" if row[i] is None else self.cell(row[i], kinds[i], address)
            if address and 'class="n"' in cell:
                address = ""
            found.append(cell)
        return Markup("<td>".join(found))

    def data_row(self, row: Mapping[str, Any], links: str, spoken: Container[str], outcome: str) -> Markup:
        """A row of a figure's data, with one link to what stands behind it, as in result tables.

        The id of the row bears it; where it has none, its first number leads to the analysis. `links` is the column of
        ids, `spoken` are the columns whose texts are in this language already.
        """
        behind = "" if row.get(links) else self.to(f"analysis:{outcome}")
        found = ["<tr>"]
        for name, cell in row.items():
            if cell is None:
                found.append("")
            elif name == links:
                found.append(self.link(str(cell), str(cell), outcome))
            elif is_number(cell):
                found.append(self.figure(cell, "exact", behind))
                behind = ""
            else:
                found.append(escape(cell) if name in spoken else self.told(self.words.number(cell)))
        return Markup("<td>".join(found))

    def effect_rows(self, rows: Rows, columns: Sequence[str]) -> Markup:
        """The rows of a page of effects: id, both constructs, value and n, then these columns; each row has a place.

        Their ends are left out as in other tables; the value and n stand to the right by the sheet of style. A head
        in a column of heads is that of its row without saying so.
        """
        printed = [text or value for text, value in rows.cells(("value_text", "value"))]
        # Column by column: a record a row would be made of all columns of the table, of which a page shows a third.
        shown = [
            self._effect_cells(name, printed if name == "value" else rows.column(name))
            for name in ("var_a", "var_b", "value", "n", *columns)
        ]
        heads = [f'<tr id="{anchor(name)}"><th>{escape(name)}' for name in rows.column("effect_id")]
        return Markup("".join("<td>".join(line) + "\n" for line in zip(heads, *shown, strict=True)))

    def _effect_cells(self, name: str, cells: Sequence[Any]) -> list[str]:
        """A column of a page of effects as it is shown."""
        # The same few texts stand in hundreds of cells of a page: each is escaped and linked once.
        texts = {cell: str(self._effect_cell(name, cell)) for cell in dict.fromkeys(cells) if isinstance(cell, str)}
        return ["" if cell is None else texts[cell] if isinstance(cell, str) else str(cell) for cell in cells]

    def _effect_cell(self, name: str, text: str) -> Markup:
        """A text of a row of effects as a page shows it."""
        if name in ("var_a", "var_b"):
            return escape(self.words.term("construct", text))
        if name == "source":
            return self.source(text)
        if name == "reading":
            return self.reading(text)
        return self.prose(text.replace(";", " ")) if name == "used_in" else escape(text)

    def cell(self, value: object, kind: str, address: str) -> str:
        """A cell of a result table: numbers and printed numbers linked to what is behind their row."""
        if is_number(value):
            return self.figure(value, kind, address)
        if isinstance(value, Mapping):
            return escape(self.words.label(value))
        text = str(self.words.number(value)) if isinstance(value, bool) else str(value)
        shown = self._text_cell(text)
        return self.anchor(address, self.words.printed(text), "n") if shown is _A_NUMBER else shown

    @_once_a_page
    def _text_cell(self, text: str) -> Markup:
        """A text of a result table, wherever its row leads; a mark for a printed number, which is a link to there."""
        if text in self.archive.dataset.works:
            return self.work(text)
        if PRINTED.fullmatch(text):
            return _A_NUMBER
        known = self.words.table["terms"].get(text)
        return escape(known) if known else self.told(text)

    def figure(self, value: object, kind: str, address: str) -> str:
        """The number of a cell, linked to an address where there is one."""
        text = self.words.number(value, kind)
        # Of what numbers are written with only the sign of a small p means something in markup.
        return self.anchor(address, text, "n") if address or "<" in text else text

    def head(self, value: object, address: str) -> Markup:
        """The first cell of a row of a result table: a work, or text linked to what is behind the row."""
        if isinstance(value, str) and value in self.archive.dataset.works:
            return self.work(value)
        text = self.label(value) if isinstance(value, str | Mapping) else self.words.number(value)
        return self.anchor(address, text)

    @_once_a_page
    def work(self, key: str) -> Markup:
        """A work as cited in running text, linked to its page."""
        reference = self.archive.dataset.references.get(key)
        named = self.link(key, self.cited(key))
        # A work nobody signed is cited by its title, and that is in another language.
        title = reference and not reference.authors and self.archive.dataset.works[key].kind != "survey"
        return Markup('<cite lang="en">{}</cite>').format(named) if title and self.foreign else named

    def cited(self, key: str) -> str:
        """Authors and year of a work as this language cites them."""
        return self.words.cited(self.archive.short(key))

    def sentence(self, sentence: Mapping[str, Any], outcome: str) -> Markup:
        """A generated sentence with its numbers linked to what their references name."""
        return self.words.sentence(sentence["key"], sentence["values"], _SentenceLinks(self, outcome, sentence["key"]))

    def at(self, ref: Ref | None, outcome: str, key: str) -> str:
        """The address a number of a sentence leads to.

        Raises
        ------
        UserError
            when the number carries no reference, or one to something the report does not hold; nothing is guessed.
        """
        if ref is None:
            raise UserError(
                f'sentence "{key}" of {outcome} has a number without a reference; give it a Number(value, ref)'
            )
        place = self.archive.at(ref["kind"], ref["id"], outcome)
        if not place:
            raise UserError(f'sentence "{key}" of {outcome} leads to {ref["kind"]} "{ref["id"]}", which is nowhere')
        return self.href(place)

    def href_exact(self, target: str) -> str:
        """The relative address of a file, in whatever language it is."""
        return self.up + target

    @property
    def foreign(self) -> Markup:
        """The mark of text that stays English on a page of another language."""
        return Markup("" if self.words.language == "en" else ' lang="en"')

    def told(self, text: Wording) -> Markup:
        """A label or a text of a record in this language, part by part where need be; what stays English is marked."""
        return self._told(text) if isinstance(text, str) else self.words.marked(text, self.told)

    @_once_a_page
    def _told(self, text: str) -> Markup:
        if self.words.knows(text):
            return escape(self.words.label(text))
        sentences = self.words.sentences_of(text)
        if len(sentences) > 1:
            return Markup(" ").join(map(self.told, sentences))
        head, colon, tail = text.partition(": ")
        if colon and self.words.knows(head):
            return Markup("{}: {}").format(self.words.label(head), self.told(tail))
        # A sentence put together from parts would be in two languages; a list of remarks would not.
        separator = "" if text.endswith(".") else next((mark for mark in (": ", "; ", ", ") if mark in text), "")
        if separator:
            return Markup(separator).join(map(self.told, text.split(separator)))
        return escape(self.words.label(text)) if self.words.changes(text) else self._quoted(text)

    def label(self, text: Wording) -> str:
        """A title, label, head or remark of an analysis in this language."""
        return self._label(text) if isinstance(text, str) else self.words.label(text)

    @_once_a_page
    def _label(self, text: str) -> str:
        return self.words.label(text)

    def _of_data(self, name: str) -> str:
        """The address of a work or of a numbered row; ordinary words that are ids of analyses lead nowhere."""
        return self.to(name) if "-" in name or name in self.archive.dataset.works else ""

    def _shown(self, name: str) -> str:
        """An id as a reader sees it: a work as it is cited; rows, and words that happen to be a key, as they are."""
        # An id without a digit is letters alone.
        return self.cited(name) if not name.isalpha() and name in self.archive.dataset.works else name

    @_once_a_page
    def prose(self, text: str) -> Markup:
        """One line of running text with the ids in it linked."""
        return plain_prose(text, self._of_data, self._shown)

    @_once_a_page
    def reason(self, text: str) -> Markup:
        """Why a verdict is what it is: the set phrases in this language, the words of the record marked as English."""
        if not self.foreign:
            return self.prose(text)
        shown, start = [], 0
        for first, last, phrase in self.words.phrases_in(text):
            shown += [self._quoted(text[start:first]), escape(phrase)]
            start = last
        return Markup("").join([*shown, self._quoted(text[start:])])

    def _quoted(self, text: str) -> Markup:
        """Words of a record as they are, marked as English; a name, a code or a number alone is in no language."""
        if _SMALL_WORD.search(_ADDRESS.sub("", text)):
            return Markup('<span lang="en">{}</span>').format(self.prose(text))
        return self.prose(self.words.printed(self.words.cited(text)))

    def note(self, text: str, level: int = 3) -> Markup:
        """A note with headings and lists."""
        return prose(text, self._of_data, level)

    def bar(self, counts: Mapping[str, int]) -> Markup:
        """Counts of verdicts as one bar with a text alternative."""
        total, left, parts = sum(counts.values()), 0.0, []
        for name, count in counts.items():
            width = 100 * count / total
            parts.append(f'<rect x="{left:.2f}" y="0" width="{width:.2f}" height="8" class="{_verdict_class(name)}"/>')
            left += width
        label = ", ".join(f"{self.words.term('verdict', name)} {self.words.number(n)}" for name, n in counts.items())
        head = Markup('<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">')
        return head.format(label) + Markup("".join(parts) + "</svg>")

    def say(self, key: str, /, **values: object) -> str:
        """A label of the pages."""
        return self.words.say(key, **values)

    @_once_a_page
    def reading(self, grade: str) -> Markup:
        """The grade a number was read at, with what it means; a number that was not read in the work stands out."""
        second = " second" if grade in ("second-hand note", "title page") else ""
        listed = self.archive.dataset.vocabulary.lists["reading"].get(grade, "")
        meaning = self.words.table.get("reading_meaning", {}).get(grade) or listed
        said = self.words.term("reading", grade)
        return Markup('<span class="reading{}" title="{}">{}</span>').format(second, meaning, said)

    @_once_a_page
    def source(self, address: str) -> Markup:
        """Where something was read: a link when it is an address, else as text."""
        found = web_address(address)
        if not found:
            return escape(address)
        shown = re.sub(r"^https?://(www\.)?", "", address)
        shown = shown if len(shown) <= 60 else shown[:59] + "…"
        return Markup('<a class="out" rel="noreferrer" href="{}">{}</a>').format(found, shown)


_A_NUMBER = Markup()


def _verdict_class(name: str) -> str:
    return "v-" + name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True, eq=False)
class _SentenceLinks:
    """The links of one sentence: each number leads to what its reference names."""

    view: View
    outcome: str
    key: str

    def number(self, ref: Ref | None, text: str) -> Markup:
        return self.view.anchor(self.view.at(ref, self.outcome, self.key), text, "n")

    def work(self, key: str) -> Markup:
        return self.view.work(key)

    def claim(self, name: str) -> Markup:
        claim = self.view.archive.claim(name)
        printed = self.view.words.printed(claim.printed.get("value", name)) if claim else name
        return self.view.link(name, printed, css="n")

    def claimant(self, name: str) -> Markup:
        claim = self.view.archive.claim(name)
        return self.view.work(claim.work if claim else name)

    def code(self, text: str) -> Markup:
        return Markup('<code class="command">{}</code>').format(text)

    def record(self, text: str) -> Markup:
        return self.view.told(text)
