"""What a template is handed beside its values: links, numbers and words for the page it renders."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from replication.report.archive import Archive
from replication.report.numbers import METRIC_KINDS, is_number
from replication.report.prose import plain_prose, prose
from replication.report.words import Words

__all__ = ["TRANSLATED", "Page", "View", "web_address"]

TRANSLATED = (
    "index.html",
    "article.html",
    "findings/engagement.html",
    "findings/achievement.html",
    "findings/bullying.html",
)
"""Pages that exist in every language, under the language's folder where it is not English."""

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}(/\S*)?", re.IGNORECASE)
_FACTS = (
    ("I2", "analysis.I2", "percent"),
    ("se", "analysis.se", "measure"),
    ("p", "analysis.p", "p"),
    ("k", "analysis.k", "count"),
    ("samples", "analysis.samples", "count"),
    ("n", "analysis.n", "count"),
    ("level", "analysis.level", "share"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One page to render: where it goes, its template, what the template is given."""

    path: str
    template: str
    title: str
    values: Mapping[str, Any]
    words: Words


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Links and numbers as seen from one page. `outcome` is the analysis whose ids are looked up first."""

    path: str
    words: Words
    archive: Archive

    def href(self, target: str) -> str:
        """The relative address of a page of the report; in another language where that page has one."""
        page, _, fragment = target.partition("#")
        if self.words.language != "en" and page in TRANSLATED:
            page = f"{self.words.language}/{page}"
        here = posixpath.dirname(self.path)
        if page == self.path and fragment:
            return f"#{fragment}"
        relative = posixpath.relpath(page, here or ".")
        return relative + (f"#{fragment}" if fragment else "")

    def to(self, name: str, outcome: str = "") -> str:
        """The address of what an id names, or nothing."""
        place = self.archive.place(name, outcome)
        return self.href(place) if place else ""

    def link(self, name: str, text: str, outcome: str = "", css: str = "") -> Markup:
        """Text linked to what an id names; plain text where the id leads nowhere."""
        return self.anchor(self.to(name, outcome), text, css)

    def anchor(self, address: str, text: str, css: str = "") -> Markup:
        """Text linked to an address within the report."""
        if not address:
            return Markup(escape(text))
        look = Markup(' class="{}"').format(css) if css else Markup("")
        return Markup('<a href="{}"{}>{}</a>').format(address, look, text)

    def number(self, value: object, name: str = "", kind: str = "", outcome: str = "") -> Markup:
        """A number linked to what stands behind it."""
        text = self.words.number(value, kind)
        return self.link(name, text, outcome, "n") if name and value is not None else Markup(escape(text))

    def metric(self, value: float | None, metric: str, name: str = "", outcome: str = "") -> Markup:
        """The value of an estimate in its unit, linked."""
        return self.number(value, name, METRIC_KINDS.get(metric, "measure"), outcome)

    def cell(self, value: object, name: str = "", outcome: str = "") -> Markup:
        """A cell of a result table: numbers linked to what is behind their row."""
        return self.number(value, name if is_number(value) else "", outcome=outcome)

    def work(self, key: str) -> Markup:
        """A work as cited in running text, linked to its page."""
        return self.link(key, self.archive.short(key))

    def sentence(self, sentence: Mapping[str, Any], outcome: str) -> Markup:
        """A generated sentence with its numbers linked; without a named target they lead to the analysis."""

        def linker(name: str, text: str) -> str:
            if not text:
                return str(self.work(name))
            return str(self.link(name, text, outcome, "n"))

        return self.words.sentence(sentence["key"], sentence["values"], linker, f"analysis:{outcome}")

    def href_exact(self, target: str) -> str:
        """The relative address of a file, in whatever language it is."""
        return posixpath.relpath(target, posixpath.dirname(self.path) or ".")

    def title(self, text: str) -> str:
        """A title of an analysis in this language, where the language has it."""
        return self.words.term("titles", text)

    def prose(self, text: str) -> Markup:
        """One line of running text with the ids in it linked."""
        return plain_prose(text, self.to)

    def note(self, text: str, level: int = 3) -> Markup:
        """A note with headings and lists."""
        return prose(text, self.to, level)

    def rest(self, estimate: Mapping[str, Any]) -> list[str]:
        """What stands beside the value of an estimate: interval, prediction, tau2, I2, k, n; empty where undefined."""
        words, metric = self.words, estimate["metric"]
        numbers = ((estimate["tau2"], "measure"), (estimate["I2"], "percent"))
        counts = (estimate["k"] or None, estimate["n"] or None)
        return [
            words.interval(estimate["low"], estimate["high"], metric),
            words.interval(estimate["prediction_low"], estimate["prediction_high"], metric),
            *("" if value is None else words.number(value, kind) for value, kind in numbers),
            *("" if count is None else words.number(count, "count") for count in counts),
        ]

    def facts(self, estimate: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Every defined number of an estimate but its value and interval, with its name."""
        words, metric = self.words, estimate["metric"]
        prediction = words.interval(estimate["prediction_low"], estimate["prediction_high"], metric)
        tau2 = "" if estimate["tau2"] is None else words.number(estimate["tau2"], "measure")
        spread = words.numerals.between(estimate["tau2_low"], estimate["tau2_high"], "measure")
        found = [
            (words.say("analysis.group"), estimate["group"]),
            (words.say("analysis.prediction"), prediction),
            ("τ²", f"{tau2} {spread}".strip()),
        ]
        for name, label, kind in _FACTS:
            value = estimate[name]
            found.append((words.say(label), words.number(value, kind) if value else ""))
        return [(name, text) for name, text in found if text]

    def numeric(self, table: Mapping[str, Any]) -> list[bool]:
        """Which columns of a result table hold numbers."""
        columns = range(len(table["columns"]))
        cells = [[row[i] for row in table["rows"] if row[i] is not None] for i in columns]
        return [bool(column) and all(is_number(cell) for cell in column) for column in cells]

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

    def source(self, address: str) -> Markup:
        """Where something was read: a link when it is an address, else as text."""
        found = web_address(address)
        if not found:
            return Markup(escape(address))
        shown = re.sub(r"^https?://(www\.)?", "", address)
        shown = shown if len(shown) <= 60 else shown[:59] + "…"
        return Markup('<a class="out" rel="noreferrer" href="{}">{}</a>').format(found, shown)


def _verdict_class(name: str) -> str:
    return "v-" + name.lower().replace("_", "-")


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
    return f"https://{text}" if "/" in text and _DOMAIN.fullmatch(text) else ""
