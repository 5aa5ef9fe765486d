"""Does the correlation follow from the t, F, chi-square or p printed beside it? Rounding is carried through.

The tests are found in text such as "r = .35, t(118) = 4.06, p < .001".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from scipy import special

from replication.errors import UserError
from replication.printed import Printed, parse_printed
from replication.study.plausibility.suspicion import Place, Suspicion

__all__ = ["check_p", "check_tests"]

_NUMBER = r"([<>]?\s*[+-−]?\d*\.?\d+)"
_T = re.compile(r"\bt\s*\(\s*(\d+)\s*\)\s*=\s*" + _NUMBER)
_F = re.compile(r"\bF\s*\(\s*1\s*,\s*(\d+)\s*\)\s*=\s*" + _NUMBER)
_CHI2 = re.compile(r"(?:\bchi2|\bchi-squared?|χ2|χ²)\s*\(\s*1\s*,\s*[nN]\s*=\s*(\d+)\s*\)\s*=\s*" + _NUMBER)
_P = re.compile(r"\bp\s*([<>=≤])\s*(\d*\.\d+)", re.IGNORECASE)
_TESTS = ((_T, "t"), (_F, "F"), (_CHI2, "chi-square"))


def check_tests(place: Place, value: str, text: str) -> Iterator[Suspicion]:
    """Every t, F(1, df) or chi-square(1) in the text against the correlation, by absolute size."""
    r = parse_printed(value)
    low, high = _sizes(r)
    for pattern, name in _TESTS:
        for match in pattern.finditer(text):
            statistic, df = parse_printed(match[2].replace(" ", "")), int(match[1])
            ends = [_as_r(name, end, df) for end in _sizes(statistic)]
            if ends[0] > high or ends[1] < low:
                size = _as_r(name, abs(statistic.value), df)
                expected = f"{value}, but {match[0].strip()} gives {size:.3f}"
                hint = "which of the two is mistyped, or do they belong to different groups?"
                yield Suspicion.about(place, "value", "test", match[0].strip(), f"a test that gives {expected}", hint)


def check_p(place: Place, value: str, n: float, p: str, text: str) -> Iterator[Suspicion]:
    """The printed p, from its own column or the text, against the p of the correlation and n, one- or two-sided."""
    printed = _p_printed(p, text)
    if printed is None or n < 4:
        return
    smallest, largest = (_p_of(size, n) for size in reversed(_sizes(parse_printed(value))))
    if printed.low <= largest and printed.high >= smallest / 2:
        return
    middle = _p_of(abs(parse_printed(value).value), n)
    shown_p = f"near {middle:.3f}" if middle >= 0.0005 else "below .001"
    expected = f"a p {shown_p} for a correlation of {value} and n {n:g}"
    yield Suspicion.about(place, "p", "p", f"p {printed.text}", expected, "is n, the value or p that of another row?")


def _sizes(printed: Printed) -> tuple[float, float]:
    """Smallest and largest absolute value the print can stand for."""
    crosses = printed.low < 0 < printed.high
    ends = sorted((abs(printed.low), abs(printed.high)))
    return (0.0 if crosses else ends[0]), ends[1]


def _as_r(name: str, size: float, df: int) -> float:
    formulas: dict[str, Callable[[], float]] = {
        "t": lambda: size / math.sqrt(size**2 + df),
        "F": lambda: math.sqrt(size / (size + df)),
        "chi-square": lambda: math.sqrt(size / df),
    }
    return 1.0 if math.isinf(size) else formulas[name]()


def _p_of(size: float, n: float) -> float:
    """The two-sided p of a correlation of this size."""
    if size >= 1:
        return 0.0
    return float(2 * special.stdtr(n - 2, -size * math.sqrt((n - 2) / (1 - size**2))))


def _p_printed(p: str, text: str) -> Printed | None:
    match = _P.search(text)
    if not p and match:
        p = ("" if match[1] == "=" else match[1]) + match[2]
    if not p:
        return None
    try:
        return parse_printed(p)
    except UserError:
        return None
