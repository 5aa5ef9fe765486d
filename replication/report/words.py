"""The words of a language: labels, sentences and numbers. Templates live in `locale/<language>.toml`.

A sentence template names its values in braces with the kind of number or word it expects: `{value:r}`,
`{k:count|sample|samples}`, `{work:work}`, `{c:claim}` (its printed value), `{c:claimant}` (its work), `{a:construct}`,
`{q:terms}`. It never holds a digit: numbers come from results alone.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

from babel import Locale
from babel.core import get_global
from markupsafe import Markup, escape

from replication import paths
from replication.errors import UserError
from replication.labels import Text
from replication.report.numbers import KINDS, METRIC_KINDS, MINUS, NARROW_SPACE, Numerals, is_number

__all__ = ["RULES", "SHARED", "Links", "Ref", "Wording", "Words", "bare", "english", "load_words", "worded"]

_FORMATTER = string.Formatter()
SHARED = ("of_data", "patterns_of_data", "cited", "country", "reason_leads")
"""Tables that texts of the dataset are looked up in: what is found is kept for all pages together, so that no page is
seen asking for it."""
RULES = ("protocol.toml", "certainty.toml")
"""Files of a project that hold wordings of their own, in each language."""


Ref = Mapping[str, str]
"""A reference of an outcome as plain data: its kind and its id."""

Wording = str | Mapping[str, Any]
"""A label of an outcome as plain data: a key or a name of the dataset, or a key with what is filled in."""


class Links(Protocol):
    """How the parts of a sentence become links; each returns safe markup."""

    def number(self, ref: Ref | None, text: str) -> Markup:
        """A number linked to what its reference names; None stands for a number that carries none."""

    def work(self, key: str) -> Markup:
        """A work as cited in running text."""

    def claim(self, name: str) -> Markup:
        """The printed value of a claim."""

    def claimant(self, name: str) -> Markup:
        """The work a claim stands in, as cited in running text."""

    def code(self, text: str) -> Markup:
        """A command to be typed as it is."""

    def record(self, text: str) -> Markup:
        """Words of a record within a label, in whatever language they are."""


class _Plain:
    """No links at all."""

    def number(self, ref: Ref | None, text: str) -> Markup:
        del ref
        return escape(text)

    def work(self, key: str) -> Markup:
        return escape(key)

    def record(self, text: str) -> Markup:
        return escape(text)

    claim = claimant = code = work


@dataclass(frozen=True, slots=True)
class _Marking(_Plain):
    """No links, but words of a record are marked as such."""

    mark: Callable[[str], Markup]

    def record(self, text: str) -> Markup:
        return self.mark(text)


@dataclass(frozen=True, slots=True)
class Words:
    """One language: its file, its tables of words, how it writes numbers, and how works are cited, by their keys."""

    language: str
    file: str
    table: Mapping[str, Any]
    numerals: Numerals
    names: Mapping[str, str] = field(default_factory=dict)
    # Texts found so far: tens of thousands of cells repeat a few thousand texts, and patterns are slow to try.
    # Those with keys of works in them apart.
    known: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    keyed: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    wholes: dict[str, str | None] = field(default_factory=dict, compare=False, repr=False)
    citations: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    # Words of one page alone, as each page is seen asking for its own.
    said: dict[tuple[str, str], str | None] = field(default_factory=dict, compare=False, repr=False)

    def say(self, key: str, /, **values: object) -> str:
        """A word or label of the pages themselves, with its values filled in as plain text."""
        template = self.said.get(("pages", key)) or self._find("pages", key)
        return template.format(**{n: self.number(v) for n, v in values.items()}) if values else template

    def term(self, group: str, word: str) -> str:
        """The word for a value of a closed vocabulary, or the value itself where this language has none."""
        found = self.table.get(group, {}).get(word)
        return found if isinstance(found, str) else word

    def number(self, value: object, kind: str = "") -> str:
        """A cell as text: whole numbers as counts, others with three figures, text as it is."""
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return self.say("yes" if value else "no")
        if isinstance(value, int | float):
            default = kind or ("count" if float(value).is_integer() else "measure")
            return self.numerals.show(value, default)
        return self.numerals.show(None) if value is None else str(value)

    def decimal(self, text: str) -> str:
        """Digits with a decimal point, written as this language writes numbers."""
        return text.replace("-", MINUS).replace(".", self.numerals.point)

    def date(self, iso: str) -> str:
        """A day given as year-month-day, as this language writes dates."""
        return self.numerals.date(iso)

    def printed(self, text: str) -> str:
        """A number as printed somewhere, with the signs of this language: "29,438" and ".34" as it writes them."""
        if self.numerals.point == ".":
            return text
        return self.localised(_PERCENT.sub(f"{NARROW_SPACE}%", _THOUSANDS.sub(NARROW_SPACE, text)))

    def metric(self, value: float | None, metric: str) -> str:
        """The value of an estimate in its own unit."""
        return self.numerals.show(value, METRIC_KINDS.get(metric, "measure"))

    def interval(self, low: float | None, high: float | None, metric: str) -> str:
        """An interval in the unit of an estimate."""
        return self.numerals.between(low, high, METRIC_KINDS.get(metric, "measure"))

    def country(self, text: str) -> str:
        """A country as this language names it, from its code of two or three letters or its English name.

        Datasets write "USA", "United States" and "NOR"; a reader sees one spelling.
        """
        own = self.table.get("country", {}).get(text)
        return str(own) if own else _territories(self.language).get(text, text)

    def cited(self, text: str) -> str:
        """Authors and year of a work as this language cites them."""
        if text not in self.citations:
            self.citations[text] = self._cited(text)
        return self.citations[text]

    def _cited(self, text: str) -> str:
        names = self.table.get("cited", {})
        for english, own in names.items():
            # Authors are joined by a word, with their year behind them; the name of a journal keeps its sign.
            if english != " & " or "(" in text:
                text = text.replace(english, own)
        return self._countries_within(text)

    def label(self, text: Wording) -> str:
        """A title, label, head or remark of an analysis in this language, by its key; a name of the dataset by itself.

        Raises
        ------
        UserError
            when a label with values has no template here, or its template names a value that is not given.
        """
        if not isinstance(text, str):
            return str(self._filled_in("labels", text["key"], text["values"], _Plain()).unescape())
        own = self.table["labels"].get(text)
        # A name of the dataset may be the key of a label with values, such as "share".
        return str(own) if own is not None and "{" not in own else self.of_data(text)

    def marked(self, label: Mapping[str, Any], record: Callable[[str], Markup]) -> Markup:
        """A label with values in this language, in which words of a record are shown by `record`."""
        return self._filled_in("labels", label["key"], label["values"], _Marking(record))

    def of_data(self, text: str) -> str:
        """A text of the dataset in this language: whole, by pattern, or part by part; as it stands where unknown.

        The records hold names, quantities and remarks in English and no keys, so their own words are what is looked up.
        Keys of works in it are written as the works are cited: "roorda2011" is a name for files.
        """
        own = self.known.get(text)
        if own is not None:
            return own
        own = self.keyed.get(text)
        if own is None:
            own = self._of_data(text)
            (self.keyed if _KEY.search(own) else self.known)[text] = own
        # The names are not kept with it: whoever shows a work's name is to be seen asking for it.
        return _KEY.sub(lambda found: self.cited(self.names.get(found[0], found[0])), own)

    def _of_data(self, text: str) -> str:
        titles = self.table["of_data"]
        head, colon, tail = text.partition(": ")
        # A known heading goes before patterns: what follows it may hold their words by chance.
        if colon and head in titles and text not in titles:
            return f"{titles[head]}: {self._of_data(tail)}"
        if text not in titles and _ENDING.search(text):
            # Sentences are translated whole: put together from parts they would be in two languages at once.
            return " ".join(self._whole(sentence) or self.localised(sentence) for sentence in _BETWEEN.split(text))
        whole = self._whole(text)
        if whole is not None:
            return whole
        for separator in (": ", "; ", ", ", " / "):
            if separator in text:
                return separator.join(self._of_data(part) for part in text.split(separator))
        return self.printed(self.cited(text))

    def sentences_of(self, text: str) -> list[str]:
        """The sentences of a note; a label is one."""
        return _BETWEEN.split(text)

    def phrases_in(self, text: str) -> Iterator[tuple[int, int, str]]:
        """The set phrases of reasons within a text: where each begins and ends, and what it is in this language.

        A phrase may have values in it, which are written as this language writes numbers.
        """
        start = 0
        while start < len(text):
            found = [(match, own) for phrase, own in self._phrases if (match := phrase.search(text, start))]
            if not found:
                return
            # Where two begin together the longer one is meant: "sum of" opens "sum of the studies" too.
            match, own = min(found, key=lambda pair: (pair[0].start(), -pair[0].end()))
            yield match.start(), match.end(), own.format(**{n: self.printed(v) for n, v in match.groupdict().items()})
            start = match.end()

    @property
    def _phrases(self) -> list[tuple[re.Pattern[str], str]]:
        return [(_phrase(phrase), own) for phrase, own in self.table.get("reason_leads", {}).items()]

    def knows(self, text: str) -> bool:
        """Whether a label is known in this language as a whole or by a pattern."""
        return self.language == "en" or text in self.table["labels"] or self._whole(text) is not None

    def changes(self, text: str) -> bool:
        """Whether this language has words of its own for a text or a part of it, beyond names and numbers."""
        return self._of_data(text) not in (self.localised(text), self.printed(self.cited(text)))

    def _whole(self, text: str) -> str | None:
        """The text in this language where it is known as a whole or by a pattern."""
        if text not in self.wholes:
            self.wholes[text] = self._found(text)
        return self.wholes[text]

    def _found(self, text: str) -> str | None:
        if text in self.table["of_data"]:
            return str(self.table["of_data"][text])
        sentence = text.endswith(".")
        for pattern, template in self.table.get("patterns_of_data", {}).items():
            expression, within, of_sentences = _compiled(pattern)
            # Its longest words first: looking for them takes a tenth of the time, and rules nearly every pattern out.
            # A whole sentence may hold a label's words by chance: it is known by the patterns of sentences alone.
            if within not in text or (sentence and not of_sentences):
                continue
            match = expression.fullmatch(text)
            if match:
                parts = match.groupdict()
                # Pairs and paths are of named things; "to" and "with" stand in ordinary text as well.
                if all(parts[name] in self.table["of_data"] for name in "abc" if name in parts):
                    return str(template.format(**{name: self._part(name, part) for name, part in parts.items()}))
        return None

    def _part(self, name: str, part: str) -> str:
        """What a pattern found under a name, in this language; versions and sections stay as they are."""
        return self.date(part) if name == "day" else part if name in "pq" else self._of_data(part)

    def _countries_within(self, text: str) -> str:
        """A label with the English names of countries in it in this language: "TIMSS 2019 Turkey"."""
        if self.language == "en":
            return text
        return _country_names().sub(lambda found: self.country(found[0]), text)

    def localised(self, text: str) -> str:
        """A number within a text as this language writes it; other text as it is."""
        if self.numerals.point == ".":
            return text
        return _DECIMAL.sub(rf"\1{self.numerals.point}\2", text)

    def sentence(self, key: str, values: Mapping[str, object], links: Links | None = None) -> Markup:
        """A sentence with its numbers linked.

        Parameters
        ----------
        key : the template's key, e.g. "finding.estimate".
        values : what to fill in: text as it is, and each number as plain data of a `Number` (its value and its ref).
        links : how parts become links; none at all when it is not given.

        Raises
        ------
        UserError
            when there is no such template, or it names a value that is not given.
        """
        return self._filled_in("sentences", key, values, links or _Plain())

    def _filled_in(self, table: str, key: str, values: Mapping[str, object], links: Links) -> Markup:
        """A template of a table with its values."""
        parts: list[Markup] = []
        for text, name, kind, forms in _pieces(self._find(table, key)):
            parts.append(text)
            if name is None:
                continue
            if name not in values:
                raise UserError(f'{self.file}: [{table}] "{key}" needs the value "{name}", which is not given')
            value, ref = bare(values[name])
            parts.append(self._filled(key, value, kind, forms, ref, links))
        return Markup("".join(parts))

    def _filled(
        self, key: str, value: object, kind: str, forms: Sequence[str], ref: Ref | None, links: Links
    ) -> Markup:
        if kind in ("work", "claim", "claimant", "code", "record"):
            return Markup(getattr(links, kind)(str(value)))
        if kind in ("construct", "confidence", "terms", "day"):
            return escape(self.date(str(value)) if kind == "day" else self.term(kind, str(value)))
        if kind in ("label", "several"):
            texts = [value] if kind == "label" else list(value)  # type: ignore[call-overload]
            return escape("".join(forms).join(map(self.label, texts)))
        if kind and kind not in KINDS:
            raise UserError(f'{self.file}: "{key}" asks for "{kind}"; known are {", ".join((*KINDS, *_SPECS))}')
        if value is None:
            return escape(self.say("undefined"))
        if is_number(value):
            text = self.number(value, kind)
            shown = links.number(ref, f"={NARROW_SPACE}{text}" if kind == "p" and "<" not in text else text)
            return shown + (NARROW_SPACE + forms[0 if value == 1 else -1] if forms else "")
        return escape(self.term("terms", self.number(value)))

    def _find(self, table: str, key: str) -> str:
        found = self._look(table, key)
        if found is None and table == "sentences" and key.startswith("answer."):
            # An outcome nobody has written sentences for is answered in general ones.
            found = self._look(table, f"answer.any.{key.rpartition('.')[2]}")
        if found is None:
            raise UserError(f'no text "{key}" in {self.file}; add it under [{table}] there')
        return found

    def _look(self, table: str, key: str) -> str | None:
        if (table, key) not in self.said:
            place: Any = self.table.get(table, {})
            for part in key.split("."):
                place = None if place is None or isinstance(place, str) else place.get(part)
            self.said[table, key] = place if isinstance(place, str) else None
        return self.said[table, key]


def bare(value: object) -> tuple[object, Ref | None]:
    """A value of a sentence without its reference, and the reference; text has none.

    >>> bare({"value": 0.3, "ref": {"kind": "claim", "id": "a-1"}})
    (0.3, {'kind': 'claim', 'id': 'a-1'})
    """
    return (value["value"], value["ref"]) if isinstance(value, Mapping) and "ref" in value else (value, None)


_KEY = re.compile(r"(?<![\w/.-])[a-z]+\d{4}[a-z]*(?![\w/-])")
"""What may be the key of a work within a text."""
_BETWEEN = re.compile(r"(?<=[a-z)\d]\.)(?<! al\.) (?=[A-Z(]|n counts)")
_ENDING = re.compile(r"(?<=[a-z)]\.)(?<! al\.) (?=[A-Z(])|[\w)]{2}\.$")
"""Where a sentence ends within a text, and what ends in one."""
_THOUSANDS, _PERCENT = re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), re.compile(r"(?<=\d)%")
_DECIMAL = re.compile(r"(?<![\w./])((?:[-−+]|\b)?\d*)\.(\d+)(?![\w./])")
"""A decimal number within a text: not a version such as 1.2.0, a part of an address, nor the end of a sentence."""


@cache
def _territories(language: str) -> Mapping[str, str]:
    """The names of countries in a language, by code of two or three letters and by English name."""
    own, english = Locale(language).territories, Locale("en").territories
    aliases = {alias: codes[0] for alias, codes in get_global("territory_aliases").items() if len(codes) == 1}
    # A region's number ("001") is no country's code, and a two-letter word may be text.
    found = {code: name for code, name in own.items() if len(code) == 2}
    found |= {alias: found[code] for alias, code in aliases.items() if len(alias) == 3 and code in found}
    return found | {name: own[code] for code, name in english.items() if len(code) == 2 and code in own}


@cache
def _country_names() -> re.Pattern[str]:
    """The English names of countries as they stand in labels, the longest first."""
    names = [name for name in _territories("en").values() if name[0].isupper()]
    names += [name for name in load_words("nb").table["country"] if not name.isupper()]
    return re.compile(
        r"\b(" + "|".join(map(re.escape, sorted(set(names), key=lambda name: (-len(name), name)))) + r")\b"
    )


_SPECS = ("work", "claim", "claimant", "code", "record", "construct", "confidence", "terms", "day", "label", "several")


@cache  # a few hundred templates are filled in ten thousand times
def _pieces(template: str) -> list[tuple[Markup, str | None, str, list[str]]]:
    """The text before each value of a template, the name of the value, its kind, and the words behind it."""
    # "r = .3" must not be broken at the end of a line.
    apart = (
        (text.replace(" = ", f"{NARROW_SPACE}={NARROW_SPACE}"), *rest) for text, *rest in _FORMATTER.parse(template)
    )
    specs = ((text, name, (spec or "").split("|")) for text, name, spec, _ in apart)
    return [(escape(text), name, kind, forms) for text, name, (kind, *forms) in specs]


@cache
def _compiled(pattern: str) -> tuple[re.Pattern[str], str, bool]:
    """A pattern such as "{x} of {y}" as an expression, the longest of its words, and whether it is of sentences.

    {n} and {m} are whole numbers, {u}, {v} and {w} any number, {p} and {q} the numbers of versions and sections, which
    every language writes alike, and {day} is a date.
    """
    parts = re.split(r"\{(\w+)\}", pattern)
    shapes = dict.fromkeys("nm", r"\d+") | dict.fromkeys("uvw", r"[-−+]?\d*\.?\d+") | {"day": r"\d{4}-\d\d-\d\d"}
    # No part holds the end of a sentence: what follows it is translated, or marked, by itself.
    within = r"(?:(?!\. [A-Z]).)+?"
    named = [f"(?P<{part}>{shapes.get(part, within)})" if i % 2 else re.escape(part) for i, part in enumerate(parts)]
    return re.compile("".join(named)), max(parts[::2], key=len), pattern.endswith(".") or ": {" in pattern


@cache
def _phrase(pattern: str) -> re.Pattern[str]:
    """A set phrase as an expression; {x} stands for one word or number, and "$" at the end for the end of the text."""
    parts = re.split(r"\{(\w+)\}", pattern.removesuffix("$"))
    named = "".join(rf"(?P<{part}>\S+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    return re.compile(named + ("$" if pattern.endswith("$") else ""))


def load_words(language: str) -> Words:
    """The words of "en" or "nb": those of the package, and over them the ones of the project's `analyses/locale`."""
    analyses_dir, name = paths.analyses_dir(), f"locale/{language}.toml"
    files = (Path(__file__).parent / name, analyses_dir / name, *(analyses_dir / rule for rule in RULES))
    return _words_of(language, tuple((file, file.read_bytes() if file.is_file() else b"") for file in files))


@lru_cache(maxsize=4)  # asked for several times by one report, and slow to read: kept while the files say the same
def _words_of(language: str, files: tuple[tuple[Path, bytes], ...]) -> Words:
    """The words in the files of the package, of the project, of its protocol and of its rule of certainty."""
    package, own, protocol, certainty = (_parsed(file, content) for file, content in files)
    table = _laid_over(package, own)
    table["labels"] = _of_rules(language, protocol, certainty) | table["labels"]
    named = _naming_persons(table, table["unit"], files[1][0])
    return Words(language, f"analyses/locale/{language}.toml", named, Numerals(language))


def english() -> Words:
    """The English words of the project at hand, read once for each project."""
    return _english_of(paths.analyses_dir())


@cache
def _english_of(_folder: Path) -> Words:
    return load_words("en")


def worded(text: Text) -> str:
    """A label of an analysis in English, as terminals, previews and notebooks show it."""
    from replication.analysis.outcome import plain  # a page is worded from stored text, without the dataset's tables

    return english().label(plain(text))  # type: ignore[arg-type]


def _of_rules(language: str, protocol: Mapping[str, Any], certainty: Mapping[str, Any]) -> dict[str, str]:
    """The labels that the rules of the project bring with them: the criteria of its protocol, and the notes of both.

    Whoever adds a criterion words it there and nowhere else. A file that is missing or no protocol words nothing here:
    whoever asks `load_protocol` for it hears what is wrong with it.
    """
    ending = "" if language == "en" else f"_{language}"
    labels = {
        "protocol_rule_note": protocol.get(f"note{ending}"),
        "certainty_rule_note": certainty.get(f"note{ending}"),
    }
    for criterion in (*protocol.get("criterion", ()), *protocol.get("restriction", ())):
        labels[f"criterion_{criterion.get('id')}"] = criterion.get(f"wording{ending}")
    return {key: text for key, text in labels.items() if isinstance(text, str)}


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path.parent.name}/{path.name} cannot be read: {error}; mend that line") from None


def _naming_persons(table: Mapping[str, Any], unit: Mapping[str, str], file: Path) -> dict[str, Any]:
    """The texts with $person and its forms replaced by what a person is called in this project."""
    named: dict[str, Any] = {}
    for key, text in table.items():
        if isinstance(text, Mapping):
            named[key] = _naming_persons(text, unit, file)
            continue
        try:
            named[key] = string.Template(text).substitute(unit) if "$" in str(text) else text
        except (KeyError, ValueError) as error:
            known = ", ".join(f"${form}" for form in unit)
            raise UserError(f"{file.name}, {key}: {error} is no form of [unit]; known are {known}") from None
    return named


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Tables within tables, where a word of the upper one stands before the lower one's."""
    both = {
        name: _laid_over(below[name], words) if isinstance(words, Mapping) and isinstance(below.get(name), Mapping)
        else words
        for name, words in above.items()
    }  # fmt: skip
    return {**below, **both}
