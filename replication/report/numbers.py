"""Numbers and dates as text, in English and in Norwegian: here which digits, Babel (CLDR) how a language writes them.

Nothing is computed here beyond rounding. `None` is an undefined number and is shown as a dash with its own words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache

from babel import Locale
from babel.dates import format_date
from babel.numbers import get_decimal_symbol, get_group_symbol

__all__ = ["KINDS", "METRIC_KINDS", "Numerals", "is_number"]

KINDS = ("r", "fine", "count", "percent", "share", "p", "year", "measure", "exact", "digits", "signed", "tick")
"""How a number may be shown: r two decimals, fine three, count whole with groups, percent as given, share times a
hundred, p a probability, year without groups, measure three figures, exact six figures, digits ten, signed like fine
with a sign, tick as short as it can be."""

METRIC_KINDS = {
    "r": "fine",
    "z": "fine",
    "d": "fine",
    "g": "fine",
    "beta": "fine",
    "b": "fine",
    "tau2": "measure",
    "I2": "percent",
    "p": "p",
    "n": "count",
    "k": "count",
    "count": "count",
    "pct": "percent",
}
"""The kind that suits the value of an estimate by its metric; any other metric is a `measure`."""

_DECIMALS = {"r": 2, "fine": 3, "signed": 3}
_SMALLEST_P = 0.001
_FINEST = 0.0005  # below this three decimals would show nothing
MINUS, NARROW_SPACE, DASH = "−", "\u00a0", "–"


@dataclass(frozen=True, slots=True)
class Numerals:
    """How one language (a CLDR locale, such as `en` or `nb`) writes numbers and dates.

    >>> Numerals("en").show(-0.3251, "fine"), Numerals("nb").show(-0.3251, "fine"), Numerals("en").show(88417, "count")
    ('−0.325', '−0,325', '88,417')
    """

    language: str

    @property
    def point(self) -> str:
        """The decimal sign."""
        return _signs(self.language)[0]

    @property
    def group(self) -> str:
        """What stands between groups of three digits."""
        return _signs(self.language)[1]

    @property
    def between_ends(self) -> str:
        """What stands between the two ends of an interval."""
        # A comma between two numbers with decimal commas could belong to either.
        return "; " if self.point == "," else ", "

    def date(self, iso: str) -> str:
        """A day given as year-month-day, in words.

        >>> Numerals("en").date("2026-05-17"), Numerals("nb").date("2026-05-17")
        ('May 17, 2026', '17. mai 2026')
        """
        return format_date(date.fromisoformat(iso), "long", self.language)

    def show(self, value: float | int | None, kind: str = "measure") -> str:
        """The number as text; a dash when it is not defined."""
        if value is None or not math.isfinite(value):
            return DASH
        # 0 and -0 are equal, and some kinds tell them apart.
        return _shown(value, kind, self.language) if value else _shown_anew(value, kind, self.language)

    def fixed(self, value: float, decimals: int) -> str:
        """The number with so many decimals, as the ticks of one axis need it.

        >>> Numerals("nb").fixed(-0.2, 2)
        '−0,20'
        """
        digits = f"{value:.{decimals}f}"
        return _written(digits.lstrip("-") if float(digits) == 0 else digits, self.language)

    def between(self, low: float | None, high: float | None, kind: str) -> str:
        """An interval in brackets, or nothing when it is not defined."""
        if low is None or high is None:
            return ""
        return f"[{self.show(low, kind)}{self.between_ends}{self.show(high, kind)}]"


def _shown_anew(value: float, kind: str, language: str) -> str:
    """A finite number as text."""
    if kind == "year":
        return str(round(value))
    if kind == "p":
        return _p(value, language)
    if kind in ("percent", "share"):
        return _written(_rounded(value * (100 if kind == "share" else 1)), language) + _percent(language)
    return _written(_digits(value, kind), language)


_shown = lru_cache(maxsize=1 << 16)(_shown_anew)
"""A table stands on several pages and in both languages' drawings: two numbers of three were shown before."""


def _p(value: float, language: str) -> str:
    if value < _SMALLEST_P:
        return f"<{NARROW_SPACE}{_written(str(_SMALLEST_P), language)}"
    return _written(f"{value:.3f}" if value < 0.1 else f"{value:.2f}", language)


@cache  # asked for every number and every text of a report, and slow to look up
def _signs(language: str) -> tuple[str, str]:
    return get_decimal_symbol(language), get_group_symbol(language)


@cache
def _percent(language: str) -> str:
    return str(_locale(language).percent_formats[None].suffix[0])


@cache  # a report shows the same few thousand strings of digits hundreds of thousands of times
def _written(digits: str, language: str) -> str:
    """Digits chosen here with the marks and groups of a language, none added and none lost."""
    mantissa, exponent, power = digits.partition("e")
    whole, _, rest = mantissa.partition(".")
    sign = whole[:1] if whole[:1] in ("+", "-") else ""
    figures = whole[len(sign) :]
    point, group = _signs(language)
    # By hand, as Babel rounds anew what is rounded, and takes ten times as long; a test holds the two together.
    # A number of four digits with decimals is a measure, and reads worse with a gap in it.
    if len(figures) > 4 or (len(figures) == 4 and not rest):
        figures = f"{int(figures):,}".replace(",", group)
    text = f"{sign}{figures}{point}{rest}" if rest else sign + figures
    # A minus sign does not break off at the end of a line, as a hyphen would.
    return (text + exponent + power).replace("-", MINUS)


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


def is_number(value: object) -> bool:
    """Whether a cell is a number: whole or decimal, not yes/no."""
    kind = type(value)
    # By the very type first, as nearly all are of one: half a million cells are asked.
    return kind is float or kind is int or (isinstance(value, int | float) and kind is not bool)


def _digits(value: float, kind: str) -> str:
    if kind in _DECIMALS:
        if (0 < abs(value) < _FINEST and kind != "r") or abs(value) >= 1e4:
            return _significant(value, 3)
        digits = f"{value:{'+' if kind == 'signed' else ''}.{_DECIMALS[kind]}f}"
        # Rounded to 0, a sign would say more than the digits do.
        return digits.lstrip("-") if float(digits) == 0 else digits
    if kind == "tick":
        return f"{value:.10g}"
    if kind == "count":
        return f"{value:.0f}" if float(value).is_integer() else _significant(value, 4)
    return _significant(value, {"exact": 6, "digits": 10}.get(kind, 3))


def _significant(value: float, figures: int) -> str:
    """`figures` significant figures, never fewer than all whole digits; powers of ten only at the far ends."""
    if value == 0:
        return "0"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    size = math.floor(math.log10(abs(value)))
    if not -5 <= size < 15:
        return f"{value:.{figures - 1}e}"
    return f"{value:.{max(0, figures - 1 - size)}f}"


def _rounded(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 or float(value).is_integer() else f"{value:.1f}"
