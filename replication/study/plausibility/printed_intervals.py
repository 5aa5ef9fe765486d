"""Is a printed value inside its printed interval, in the middle of it on some usual scale, and as wide as n says?

Scales: as printed, Fisher's z (correlations), logarithm (ratios). Rounding is carried through: every number stands
for all values that print like it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from replication.dataset import Dataset
from replication.dataset.problems import shown
from replication.effects.correlation import back_to_r, fisher_z_variance, to_fisher_z
from replication.errors import UserError
from replication.models.probability import NORMAL_95, normal_isf
from replication.printed import Printed, parse_printed
from replication.study.plausibility.query import Place, Query

__all__ = ["IntervalCheck", "centred", "check_interval", "claim_queries", "one_end", "outside"]

_TOO_WIDE, _TOO_NARROW = 3.0, 0.5
_NARROWER = 0.95  # of the width that n gives: no honest interval of 95 % is narrower, while clusters make many wider
_BOUNDED = ("r", "partial_r")
_MAYBE_RATIO = ("b", "effect size")  # statistics under which sources print odds ratios, too

Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class IntervalCheck:
    """Value, lower and upper end as printed; which statistic; n (NaN where the width cannot be told from n).

    `zeros_lost` says that the texts went through numbers, so that a last 0 may be gone.
    """

    texts: tuple[str, str, str]
    statistic: str
    n: float = math.nan
    zeros_lost: bool = False


def check_interval(place: Place, column: str, check: IntervalCheck) -> Iterator[Query]:
    """The questions a printed interval around its value raises; one that excludes it is said elsewhere."""
    try:
        value, low, high = _alike(check) if check.zeros_lost else map(parse_printed, check.texts)
    except UserError:
        return
    if not low.value < high.value or not low.low <= value.high or not value.low <= high.high:
        return  # said by the dataset checker of effects, by `outside` of claims
    found = f"{check.texts[1]} to {check.texts[2]} around {check.texts[0]}"
    if not any(_centred(value, low, high, scale) for scale in _scales(check, low)):
        expected = "a value in the middle of its interval, as printed or on the scale of Fisher's z or logarithms"
        yield Query.about(place, column, "interval-centre", found, expected, "is one of the three mistyped?")
    elif check.statistic == "r" and check.n > 3 and max(abs(low.value), abs(high.value)) < 1:
        yield from _width(place, column, check, low, high, found)


def one_end(place: Place, low: str, high: str) -> Query:
    """The question about an interval of which one end is empty."""
    column, given = ("ci_high", low) if low else ("ci_low", high)
    hint = "look the other end up; if the source has none, or it cannot be read, answer it"
    return Query.about(place, column, "interval-end", shown(given), "both ends of the interval", hint)


def outside(place: Place, value: str, low: str, high: str) -> Iterator[Query]:
    """The question about a printed interval that does not hold its value, whatever the rounding."""
    printed, bottom, top = parse_printed(value), parse_printed(low), parse_printed(high)
    found = f"{low} to {high} around {value}"
    if bottom.value > top.value:
        expected = "the lower end below the upper"
        yield Query.about(place, "ci_low", "interval-outside", found, expected, "are the ends swapped?")
    elif printed.high < bottom.low or printed.low > top.high:
        expected, hint = f"an interval that holds {value}", "is one of the three mistyped?"
        yield Query.about(place, "ci_low", "interval-outside", found, expected, hint)


def centred(texts: tuple[str, str, str], scale: Scale) -> bool:
    """Whether a printed value can be in the middle of its printed ends on a scale, after rounding."""
    value, low, high = map(parse_printed, texts)
    return _centred(value, low, high, scale)


def _width(place: Place, column: str, check: IntervalCheck, low: Printed, high: Printed, found: str) -> Iterator[Query]:
    expected = 2 * NORMAL_95 * math.sqrt(fisher_z_variance(check.n))
    widest, narrowest = _bounded_z(high.high) - _bounded_z(low.low), _bounded_z(high.low) - _bounded_z(low.high)
    if narrowest > _TOO_WIDE * expected or widest < _TOO_NARROW * expected:
        middle = (_bounded_z(low.value) + _bounded_z(high.value)) / 2
        ends = back_to_r([middle - expected / 2, middle + expected / 2])
        text = f"about {ends[0]:.2f} to {ends[1]:.2f} for n {check.n:g}"
        yield Query.about(place, column, "interval-width", found, text, "is n that of another group?")
    elif widest < _NARROWER * expected and narrowest <= expected * float(normal_isf(0.05)) / NORMAL_95 <= widest:
        text = f"an interval of 95 %, but for n {check.n:g} it is as narrow as one of 90 %"
        hint = "which level does the article print? leave an interval of 90 % out, or answer it"
        yield Query.about(place, column, "interval-level", found, text, hint)


def _bounded_z(r: float) -> float:
    """Fisher's z of a printed end; an end printed as 1 or beyond stands for one just below."""
    return float(to_fisher_z(max(-0.9999999, min(0.9999999, r))))


def _scales(check: IntervalCheck, low: Printed) -> list[Scale]:
    scales: list[Scale] = [lambda x: x]
    if check.statistic in (*_BOUNDED, "z"):
        scales.append(_bounded_z)
    elif check.statistic in _MAYBE_RATIO and low.low > 0:
        scales.append(math.log)
    return scales


def _centred(value: Printed, low: Printed, high: Printed, scale: Scale) -> bool:
    """Whether some true value, low and high that print like these have the value in the middle."""
    smallest = (scale(low.low) + scale(high.low)) / 2
    largest = (scale(low.high) + scale(high.high)) / 2
    return scale(value.low) <= largest and smallest <= scale(value.high)


def _alike(check: IntervalCheck) -> list[Printed]:
    """The three numbers, each with as many decimals as the longest of them."""
    printed = [parse_printed(text) for text in check.texts]
    half = 0.5 * 10.0 ** -max(number.decimals for number in printed)
    return [Printed(p.text, p.value, p.value - half, p.value + half, p.decimals) for p in printed]


_SYMMETRIC = ("r", "beta", "b", "d", "g", "z")
_BOUNDED_CLAIMS = ("r", "r_s")
_COLUMNS = ("work", "line", "claim_id", "statistic", "printed", "ci_low", "ci_high")


def claim_queries(dataset: Dataset, works: frozenset[str]) -> Iterator[Query]:
    """Every question about the printed results of these works."""
    for work, line, claim, statistic, *texts in dataset.columns("claims.csv").of_works(works).rows(*_COLUMNS):
        place = Place(f"{work}/claims.csv", line, claim)
        if not _impossible(statistic, texts):
            yield from _interval(place, statistic, texts)


def _impossible(statistic: str, texts: list[str]) -> bool:
    """A correlation beyond 1, or ends in the wrong order: errors, which the dataset's checker says."""
    value, low, high = (parse_printed(text).value if text else math.nan for text in texts)
    return low > high or (statistic in _BOUNDED_CLAIMS and abs(value) > 1)


def _interval(place: Place, statistic: str, texts: list[str]) -> Iterator[Query]:
    value, low, high = texts
    if bool(low) != bool(high):
        yield one_end(place, low, high)
    if not (value and low and high):
        return
    excluded = list(outside(place, value, low, high))
    yield from excluded
    if not excluded and statistic in _SYMMETRIC:
        yield from check_interval(place, "ci_low", IntervalCheck((value, low, high), statistic))
