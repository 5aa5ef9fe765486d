"""The words of a language: labels, sentences and numbers. Templates live in `locale/<language>.toml`.

A sentence template names its values in braces with the kind of number or word it expects: `{value:r}`,
`{k:count|sample|samples}`, `{work:work}`, `{a:construct}`. It never holds a digit: numbers come from results alone.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from replication.errors import UserError
from replication.report.numbers import KINDS, METRIC_KINDS, NARROW_SPACE, Numerals, is_number

__all__ = ["LANGUAGES", "Linker", "Words", "load_words"]

LANGUAGES = ("en", "nb")
_NUMERALS = {"en": Numerals(".", ","), "nb": Numerals(",", NARROW_SPACE, NARROW_SPACE + "%")}
_FORMATTER = string.Formatter()

Linker = Callable[[str, str], str]
"""Given an id and the text to show, the text as a link to what stands behind it."""


def _unlinked(_target: str, text: str) -> str:
    return str(escape(text))


@dataclass(frozen=True, slots=True)
class Words:
    """One language: its file, its tables of words, and how it writes numbers."""

    language: str
    file: str
    table: Mapping[str, Any]
    numerals: Numerals

    def say(self, key: str, /, **values: object) -> str:
        """A word or label of the pages themselves, with its values filled in as plain text."""
        template = self._find("pages", key)
        return template.format(**{n: self.number(v) for n, v in values.items()}) if values else template

    def term(self, group: str, word: str) -> str:
        """The word for a value of a closed vocabulary, or the value itself where this language has none."""
        found = self.table.get(group, {}).get(word)
        return found if isinstance(found, str) else word

    def number(self, value: object, kind: str = "") -> str:
        """A cell as text: whole numbers as counts, others with three figures, text as it is."""
        if value is None:
            return self.numerals.show(None)
        if isinstance(value, bool):
            return self.say("yes" if value else "no")
        if isinstance(value, int | float):
            default = "count" if float(value).is_integer() else "measure"
            return self.numerals.show(value, kind or default)
        return str(value)

    def metric(self, value: float | None, metric: str) -> str:
        """The value of an estimate in its own unit."""
        return self.numerals.show(value, METRIC_KINDS.get(metric, "measure"))

    def interval(self, low: float | None, high: float | None, metric: str) -> str:
        """An interval in the unit of an estimate."""
        return self.numerals.between(low, high, METRIC_KINDS.get(metric, "measure"))

    def has_sentence(self, key: str) -> bool:
        """Whether this language has a template under the key."""
        return self._look("sentences", key) is not None

    def sentence(self, key: str, values: Mapping[str, object], link: Linker = _unlinked, default: str = "") -> Markup:
        """A sentence with its numbers linked.

        Parameters
        ----------
        key : the template's key, e.g. "engagement.answer".
        values : what to fill in. `ref` is the id behind every number, `<name>_ref` the id behind one of them.
        link : turns an id and a number's text into a link.
        default : the id behind numbers that name none.

        Raises
        ------
        UserError
            when there is no such template, or it names a value that is not given.
        """
        parts: list[str] = []
        for text, name, spec, _ in _FORMATTER.parse(self._find("sentences", key)):
            parts.append(str(escape(text)))
            if name is None:
                continue
            if name not in values:
                raise UserError(
                    f'{self.file}: sentence "{key}" needs the value "{name}", which the analysis does not give'
                )
            target = str(values.get(f"{name}_ref") or values.get("ref") or default)
            parts.append(self._filled(key, values[name], spec or "", target, link))
        return Markup("".join(parts))

    def _filled(self, key: str, value: object, spec: str, target: str, link: Linker) -> str:
        kind, *forms = spec.split("|")
        if kind == "work":
            return link(str(value), "")
        if kind in ("construct", "confidence"):
            return str(escape(self.term(kind, str(value))))
        if kind and kind not in KINDS:
            raise UserError(f'{self.file}: sentence "{key}" asks for "{kind}"; known are {", ".join(KINDS)}')
        if value is None or is_number(value):
            text = self.say("undefined") if value is None else self.number(value, kind)
            shown = link(target, text) if target else str(escape(text))
            return shown + (NARROW_SPACE + str(escape(forms[0 if value == 1 else -1])) if forms else "")
        return str(escape(self.term("terms", self.number(value))))

    def _find(self, table: str, key: str) -> str:
        found = self._look(table, key)
        if found is None:
            raise UserError(f'no text "{key}" in {self.file}; add it under [{table}] there')
        return found

    def _look(self, table: str, key: str) -> str | None:
        place: object = self.table.get(table, {})
        for part in key.split("."):
            place = place.get(part) if isinstance(place, Mapping) else None
        return place if isinstance(place, str) else None


def load_words(language: str) -> Words:
    """The words of "en" or "nb"."""
    path = Path(__file__).parent / "locale" / f"{language}.toml"
    file = f"replication/report/locale/{language}.toml"
    return Words(language, file, tomllib.loads(path.read_text(encoding="utf-8")), _NUMERALS[language])
