"""Does the correlation follow from the t, F, chi-square or p printed beside it? Rounding is carried through.

Tests are found in text such as "r = .35, t(118) = 4.06, p < .001", in any usual form: decimal df, thousands separators,
semicolons, bounds ("F(1, 118) < 1") and a t without df. A number longer than any that is printed is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import scipy

from replication.dataset.problems import shown
from replication.errors import UserError
from replication.printed import Printed, parse_printed
from replication.study.plausibility.query import Place, Query

__all__ = ["Correlation", "PrintedTest", "check_p", "check_tests", "p_in", "read_tests"]

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
    # Three characters first: most wordings hold no test, and the patterns are slow.
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


_LEAST_OF_N = 0.9  # missing answers explain small differences
_MOST_CONTROLS = 10  # variables held constant in a partial correlation, each a degree of freedom


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation as printed, the n behind it (NaN: unknown), and whether other variables are held constant."""

    value: str
    n: float
    partial: bool = False

    @property
    def printed(self) -> Printed:
        """The value with the true values it can stand for."""
        return parse_printed(self.value)


def check_tests(place: Place, correlation: Correlation, test: str, text: str = "") -> Iterator[Query]:
    """Every t, F(1, df) or chi-square(1) of the column `test` or of a wording, against the correlation and n."""
    found = read_tests(test)
    if test and not found:
        expected = "a t(118) = 4.06, F(1, 118) = 16.5 or chi2(1, N = 120) = 14.7"
        hint = "write it in one of these forms; a test of another kind belongs in the note"
        yield Query.about(place, "test", "test-unreadable", shown(test), expected, hint)
    for one in dict.fromkeys((*found, *read_tests(text))) if text else found:
        yield from _check(place, correlation, one)


def _check(place: Place, correlation: Correlation, test: PrintedTest) -> Iterator[Query]:
    if test.df < 1 or (test.name != "t" and test.size.high < 0):
        expected = "at least 1 degree of freedom, and no F or chi-square below 0"
        yield Query.about(place, "test", "test-impossible", test.text, expected, "is a digit mistyped?")
        return
    yield from _cases(place, correlation, test)
    df = correlation.n - (0 if test.name == "chi-square" else 2) if math.isnan(test.df) else test.df
    if df >= 1:
        yield from _size(place, correlation, test, df)


def _cases(place: Place, correlation: Correlation, test: PrintedTest) -> Iterator[Query]:
    """df and n: a test has never more cases than the row, and not much fewer unless variables are held constant."""
    n, cases = correlation.n, test.cases
    too_few = cases < _LEAST_OF_N * n and not correlation.partial
    if cases > n or too_few:
        expected = f"a test of {n:g} cases as the row's n says, but this one is of {cases:g}"
        yield Query.about(place, "n", "test-n", test.text, expected, "is n or the df that of another group?")


def _size(place: Place, correlation: Correlation, test: PrintedTest, df: float) -> Iterator[Query]:
    r = correlation.printed
    low, high = _sizes(r)
    ends = [_as_r(test.name, end, df) for end in _sizes(test.size)]
    if ends[0] > high or ends[1] < low:
        gives = f"{_as_r(test.name, abs(test.size.value), df):.3f}"
        expected = f"a test that gives {r.text}, but {test.text} gives {gives}"
        hint = "which of the two is mistyped, or do they belong to different groups?"
        yield Query.about(place, "value", "test", test.text, expected, hint)
    elif test.name == "t" and (test.size.high < 0 < r.low or r.high < 0 < test.size.low):
        expected = f"a t with the sign of {r.text}"
        yield Query.about(place, "value", "test-sign", test.text, expected, "was a minus lost, or a group swapped?")


def check_p(place: Place, correlation: Correlation, p: str, text: str = "") -> Iterator[Query]:
    """The printed p, from its own column or the text, against the p of the correlation and n, one- or two-sided."""
    n = correlation.n
    printed = _p_printed(p or p_in(text)) if n >= 4 else None
    if printed is None:
        return
    r = correlation.printed
    controls = _MOST_CONTROLS if correlation.partial else 0
    low, high = _sizes(r)
    smallest, largest = _p_of(high, n - 2), _p_of(low, max(n - 2 - controls, 1))
    # Half of the smallest p: the print may be one-sided without saying so.
    if printed.low <= largest and printed.high >= smallest / 2:
        return
    middle = _p_of(abs(r.value), n - 2)
    shown_p = f"near {middle:.3f}" if middle >= 0.0005 else "below .001"
    expected = f"a p {shown_p} for a correlation of {r.text} and n {n:g}"
    yield Query.about(place, "p", "p", f"p {printed.text}", expected, "is n, the value or p that of another row?")


def _sizes(printed: Printed) -> tuple[float, float]:
    """Smallest and largest absolute value the print can stand for; "< 1" is a bound of the size."""
    if printed.bound in ("<", "≤") and printed.value >= 0:
        return 0.0, printed.value
    crosses = printed.low < 0 < printed.high
    ends = sorted((abs(printed.low), abs(printed.high)))
    return (0.0 if crosses else ends[0]), ends[1]


def _as_r(name: str, size: float, df: float) -> float:
    """The absolute correlation that a test of this size has."""
    if math.isinf(size):
        return 1.0
    if name == "t":
        return size / math.sqrt(size**2 + df)
    return math.sqrt(size / (size + df) if name == "F" else size / df)


def _p_of(size: float, df: float) -> float:
    """The two-sided p of a correlation of this size."""
    if size >= 1:
        return 0.0
    return float(2 * scipy.special.stdtr(df, -size * math.sqrt(df / (1 - size**2))))


def _p_printed(p: str) -> Printed | None:
    try:
        return parse_printed(p) if p else None
    except UserError:
        return None
