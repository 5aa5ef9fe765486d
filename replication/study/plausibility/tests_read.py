"""Tests printed beside a correlation: "t(118) = 4.06", "F(1, 118) = 16.5", "chi2(1, N = 120) = 14.7" in any usual form.

Decimal df, thousands separators, semicolons, bounds ("F(1, 118) < 1") and a t without df are read. A number longer than
any that is printed is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from replication.printed import Printed, parse_printed

__all__ = ["PrintedTest", "p_in", "read_tests"]

_DF = r"(?P<df>[1-9][0-9]{0,2}(?:,[0-9]{3}){1,3}|[0-9]{1,9}(?:\.[0-9]{1,3})?)"
_SIZE = (
    r"\s*(?P<relation>=\s*[<>≤≥]?|[<>≤≥])\s*"
    r"(?P<size>[-+−–]?\s*(?:[1-9][0-9]{0,2}(?:,[0-9]{3}){1,3}(?:\.[0-9]{1,9})?|[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}))"
    r"(?![0-9]|[.,][0-9])"
)
_PATTERNS = {
    "t": re.compile(rf"(?:\b[tT]\s*\(\s*(?:df\s*=\s*)?{_DF}\s*\)|\bt(?=\s*=)){_SIZE}"),
    "F": re.compile(rf"\b[fF]\s*\(\s*1(?:\.0+)?\s*[,;/]\s*{_DF}\s*\){_SIZE}"),
    "chi-square": re.compile(
        rf"(?:\bchi-?\s?squared?|\bchi\^?2|[χΧ]\s?\^?[2²]|\b[xX][2²])\s*"
        rf"\(\s*(?:df\s*=\s*)?1\s*(?:[,;]\s*[nN]\s*=\s*{_DF}\s*)?\){_SIZE}",
        re.IGNORECASE,
    ),
}
_P = re.compile(r"\bp\s*([<>=≤])\s*([0-9]*\.[0-9]{1,20})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PrintedTest:
    """A printed test: its name, wording, size, and df (N for chi-square); NaN where the print does not say."""

    name: str
    text: str
    size: Printed
    df: float

    @property
    def cases(self) -> float:
        """The cases the test says it rests on, for the correlation of two variables."""
        return self.df if self.name == "chi-square" else self.df + 2


@lru_cache(maxsize=4096)
def read_tests(text: str) -> tuple[PrintedTest, ...]:
    """Every t, F with 1 df or chi-square with 1 df in a text, each once."""
    return tuple(dict.fromkeys(_found(text))) if "=" in text or "<" in text or ">" in text else ()


def p_in(text: str) -> str:
    """The first p in a text as a printed number, e.g. "<.001"; empty where there is none."""
    match = _P.search(text)
    return "" if match is None else ("" if match[1] == "=" else match[1]) + match[2]


def _found(text: str) -> Iterator[PrintedTest]:
    for name, pattern in _PATTERNS.items():
        for match in pattern.finditer(text):
            bound = match["relation"].lstrip("= ").strip()
            size = parse_printed(bound + re.sub(r"[\s+]", "", match["size"]))
            df = float(match["df"].replace(",", "")) if match["df"] else math.nan
            yield PrintedTest(name, " ".join(match[0].split()), size, df)
