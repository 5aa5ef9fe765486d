"""Plausibility of single effect rows: wording, sign, size, error, interval, and the test printed beside."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from replication.dataset import Dataset
from replication.dataset.columns import Columns
from replication.dataset.problems import shown
from replication.dataset.recipes import of_levels
from replication.effects.correlation import correlation_variance, fisher_z_variance, n_for_variance, to_fisher_z
from replication.study.plausibility.printed_intervals import IntervalCheck, check_interval, one_end
from replication.study.plausibility.printed_tests import Correlation, check_p, check_tests
from replication.study.plausibility.query import Place, Query

__all__ = ["check_wording", "effect_queries"]

_NUMBER = r"(?:(?<![\w.,)])[-+−–‐‑]\s?)?(?:[0-9]{1,12}(?:[.,][0-9]{1,12})?|[.,][0-9]{1,12})"
_EVERY = re.compile(rf"(?<![\w.,]){_NUMBER}")
_SYMBOLS = {
    "r": r"[rρ](?:_?(?:xy|p|s))?",
    "partial_r": r"p?[rρ](?:_?(?:xy|p|partial))?",
    "beta": r"(?:β|[bB]eta)",
    "d": r"d",
    "log_odds": r"(?:log ?OR|log ?odds(?: ratio)?)",
}
_FORMS = {
    statistic: re.compile(rf"(?<![\w.]){symbol}\s?(?:\([^()]{{0,20}}\)\s?)?[=:]\s?({_NUMBER})")
    for statistic, symbol in _SYMBOLS.items()
}
_BARE = re.compile(rf"\s*({_NUMBER})\s*[*†‡]{{0,4}}(?:\s*[,;(]\s*p\s?[=<>≤].*)?\s*")
_PLAIN = str.maketrans({**dict.fromkeys("−–‐‑", "-"), ",": ".", "+": ""})


def check_wording(place: Place, statistic: str, value: str, wording: str) -> Iterator[Query]:
    """A wording that gives the statistic a number, while none of its numbers is the value."""
    yield from _other_statistic(place, statistic, value, wording)
    form = _FORMS.get(statistic)
    given = (form.search(wording) if form is not None else None) or _BARE.fullmatch(wording)
    if given is None:
        return
    held = _decimal(value)
    # As decimals: .35 and 0.350 are one number, and no binary rounding comes between.
    if held not in map(_decimal, _EVERY.findall(wording)):
        found = shown(wording)
        expected = f"a wording that holds the value, {value}"
        hint = f"it holds {given[1].strip()}: which of the two is mistyped?"
        yield Query.about(place, "as_printed", "as-printed", found, expected, hint)


def _other_statistic(place: Place, statistic: str, value: str, wording: str) -> Iterator[Query]:
    """A wording such as "β = .36" beside a value .36 that is called r."""
    own = _FORMS.get(statistic)
    if own is None or own.search(wording) is not None:
        return
    for name, form in _FORMS.items():
        given = form.search(wording)
        if name != statistic and given is not None and _decimal(given[1]) == _decimal(value):
            hint = f"is the statistic {name}? only r is pooled with r"
            yield Query.about(place, "statistic", "wording-statistic", shown(wording), f"a {statistic}", hint)
            return


def _decimal(text: str) -> Decimal:
    return Decimal("".join(text.split()).translate(_PLAIN))


_CORRELATIONS = ("r", "partial_r")
_CLEAR_SIGN = 0.05
_VERY_LARGE = 0.9
_SE_TOO_LARGE, _SE_TOO_SMALL = 3.0, 0.5
_PLACE = ("work", "line", "effect_id")
_COLUMNS = (
    "var_a", "var_b", "statistic", "value", "value_text", "n", "n_effective", "se",
    "ci_low", "ci_high", "test", "p", "conversion", "as_printed", "reading", "unit",
)  # fmt: skip


def effect_queries(dataset: Dataset, works: frozenset[str]) -> Iterator[Query]:
    """Every question about a single effect row of these works."""
    effects = dataset.columns("effects.csv").only(*_PLACE, *_COLUMNS).of_works(works)
    places = effects.rows(*_PLACE)
    rows = zip(*(_cells(effects, name) for name in _COLUMNS), strict=True)
    judged: dict[tuple[object, ...], tuple[Query, ...]] = {}  # long tables say the same again and again
    for (work, line, row), cells in zip(places, rows, strict=True):
        place = Place(f"{work}/effects.csv", line, row)
        if cells in judged:
            yield from (question.at(place) for question in judged[cells])
        else:
            judged[cells] = tuple(_questions(place, dict(zip(_COLUMNS, cells, strict=True)), dataset))
            yield from judged[cells]


def _cells(effects: Columns, name: str) -> list[Any]:
    """The cells of a column, with one NaN for all that are empty: rows that say the same are then equal."""
    cells = effects[name]
    return [math.nan if math.isnan(cell) else cell for cell in cells] if name in effects.numbers else cells


def _questions(place: Place, row: Mapping[str, Any], dataset: Dataset) -> Iterator[Query]:
    """The questions about one row, which depend on its cells alone.

    A row without a value, or with an impossible one, is the dataset checker's: what follows from it says nothing.
    """
    correlation = row["statistic"] in _CORRELATIONS
    if math.isnan(row["value"]) or (correlation and abs(row["value"]) > 1):
        return
    yield from _interval(place, row)
    if row["as_printed"] and not row["conversion"]:
        yield from check_wording(place, row["statistic"], row["value_text"], row["as_printed"])
    if correlation and not of_levels(row["unit"]):  # between schools other signs and sizes are no slips
        yield from _sign(place, row, dataset)
        yield from _size(place, row)
        yield from _tests(place, row)
    if row["statistic"] == "r":
        yield from _standard_error(place, row)


def _sign(place: Place, row: Mapping[str, Any], dataset: Dataset) -> Iterator[Query]:
    """A clear sign against the constructs: at least .05, and beyond twice its standard error."""
    value = row["value"]
    constructs = dataset.vocabulary.constructs
    a, b = constructs[row["var_a"]], constructs[row["var_b"]]
    expected = a.valence * b.valence
    if "covariate" in (a.side, b.side):
        return  # nothing is expected of a covariate: better-off students are not the more engaged everywhere
    # Small values of either sign are what chance makes of a weak association.
    if value * expected >= 0 or abs(value) < _CLEAR_SIGN:
        return
    n = float(n_for_variance(row["n"], row["n_effective"], least=3))
    if abs(value) >= 0.1 or (n > 3 and to_fisher_z(abs(value)) > 2 * math.sqrt(fisher_z_variance(n))):
        direction = "above" if expected > 0 else "below"
        yield Query.about(
            place,
            "value",
            "sign",
            row["value_text"],
            f"a value {direction} 0 for {a.label} with {b.label}",
            "was a scale reversed, or a minus lost? if the source says so, answer it",
        )


def _size(place: Place, row: Mapping[str, Any]) -> Iterator[Query]:
    value = row["value"]
    if abs(value) > _VERY_LARGE:
        hint = "is it r squared, a reliability, or one measure twice?"
        yield Query.about(place, "value", "very-large", row["value_text"], "a correlation within -.9 and .9", hint)
    if value == 0 and row["reading"] != "computed":
        hint = "does the source print 0, or was the cell empty? an empty cell is not zero"
        yield Query.about(place, "value", "exact-zero", row["value_text"], "a correlation that was computed", hint)


def _tests(place: Place, row: Mapping[str, Any]) -> Iterator[Query]:
    """The tests and the p printed beside the value; a converted value follows from them."""
    correlation = Correlation(row["value_text"], row["n"], row["statistic"] == "partial_r")
    if row["test"] or row["as_printed"]:
        yield from check_tests(place, correlation, row["test"], row["as_printed"])
    if row["p"] or row["as_printed"]:
        yield from check_p(place, correlation, row["p"], row["as_printed"])


def _standard_error(place: Place, row: Mapping[str, Any]) -> Iterator[Query]:
    se, value = row["se"], row["value"]
    if math.isnan(se):
        return
    n = float(n_for_variance(row["n"], row["n_effective"], least=1))
    expected = math.sqrt(correlation_variance(value, n)) if n > 1 else math.nan
    if not expected > 0 or _SE_TOO_SMALL <= se / expected <= _SE_TOO_LARGE:
        return
    hint = "is it a standard deviation, or the error of something else?" if se > expected else "is n right?"
    yield Query.about(place, "se", "se", f"{se:g}", f"about {expected:.3f} for this value and n {n:g}", hint)


def _interval(place: Place, row: Mapping[str, Any]) -> Iterator[Query]:
    low, high = row["ci_low"], row["ci_high"]
    if math.isnan(low) and math.isnan(high):
        return
    if math.isnan(low) or math.isnan(high):
        yield one_end(place, *("" if math.isnan(end) else f"{end:g}" for end in (low, high)))
        return
    n = float(n_for_variance(row["n"], row["n_effective"], least=3)) if row["statistic"] == "r" else math.nan
    texts = (row["value_text"], f"{low:g}", f"{high:g}")
    yield from check_interval(place, "ci_low", IntervalCheck(texts, row["statistic"], n, zeros_lost=True))
