"""A number as printed, and the interval of true values its digits allow.

"-.32" can stand for anything from -.325 to -.315; "<.001" for anything below .001. Comparing against that interval,
never against a tolerance of our own, is what makes a verdict a statement about the printed page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from replication.errors import UserError

__all__ = ["MINUS_SIGNS", "Printed", "parse_printed"]

_NUMBER = re.compile(
    r"(?P<bound>[<>≤≥])?\s*(?P<sign>[+-])?"
    r"(?P<digits>[1-9]\d{0,2}(?:[, \u00a0\u2009\u202f]\d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)"
    r"(?:[eE](?P<exponent>[+-]?\d{1,3}))?\s*(?P<percent>%)?",
    re.ASCII,
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d{1,2}(?!\d)|[+-]?0?,\d+")
_LONGEST_KEPT = 40  # letters: longer texts are read anew each time, so that what is remembered stays small
MINUS_SIGNS: Mapping[int, int] = str.maketrans("−–‐‑", "----")
"""For `str.translate`: the signs that stand for a minus in print, as the hyphen of a keyboard."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed number: its text, the value read, and the closed interval `low` to `high` it can stand for.

    `percent` says that the print carries a % sign; value and interval are then in per cent, as printed.
    `bound` is "<" or ">" where the print gives only a bound; `value` is then the bound itself.
    """

    text: str
    value: float
    low: float
    high: float
    decimals: int
    percent: bool = False
    bound: str = ""

    def holds(self, number: float) -> bool:
        """Whether `number`, unrounded and in the printed unit, could have been printed like this."""
        return math.isfinite(number) and self.low <= number <= self.high


def parse_printed(text: str) -> Printed:
    """Read a printed number.

    Accepts a leading sign (also the typographic minus), a missing leading zero, thousands separators, a per cent
    sign, scientific notation and the bounds <, >, ≤ and ≥.

    Parameters
    ----------
    text : the number exactly as printed, e.g. "-.32", "604.4838", "15%", "<.001", "29,438".

    Raises
    ------
    UserError
        when it is not a number, or has a decimal comma.

    Source: the rounding-interval rule of reproducibility checks (e.g. Nuijten et al., 2016, on statcheck).

    >>> parse_printed("-.32").low, parse_printed("-.32").high
    (-0.325, -0.315)
    >>> parse_printed("29,438").value, parse_printed("15%").high
    (29438.0, 15.5)
    """
    return _remembered(text) if len(text) <= _LONGEST_KEPT else _read(text)


def _read(text: str) -> Printed:
    cleaned = text.strip().translate(MINUS_SIGNS)
    match = _NUMBER.fullmatch(cleaned)
    if match is None:
        # Norwegian prints have decimal commas; read as thousands, .325 would become 325.
        comma = _DECIMAL_COMMA.fullmatch(cleaned)
        hint = f' (a decimal comma? write "{cleaned.replace(",", ".")}")' if comma else ""
        raise UserError(f'"{text[:60]}" is not a printed number{hint}; write it with a decimal point, e.g. -.32')
    digits = re.sub(r"[, \u00a0\u2009\u202f]", "", match["digits"])
    exponent = int(match["exponent"] or 0)
    # Decimals: half a unit of the last digit is exact, and an end of the interval falls where the print puts it.
    value = Decimal((match["sign"] or "") + digits).scaleb(exponent)
    decimals = len(digits.partition(".")[2])
    half = Decimal(5).scaleb(exponent - decimals - 1)
    low, high = _ends(match["bound"], value, half)
    return Printed(text, float(value), low, high, decimals - exponent, bool(match["percent"]), match["bound"] or "")


_remembered = lru_cache(maxsize=16_384)(_read)
"""The same numbers come again and again: a check reads each of them several times."""


def _ends(bound: str | None, value: Decimal, half: Decimal) -> tuple[float, float]:
    if bound in ("<", "≤"):
        return -math.inf, float(value)
    if bound in (">", "≥"):
        return float(value), math.inf
    return float(value - half), float(value + half)
