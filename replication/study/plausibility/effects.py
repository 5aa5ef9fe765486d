"""Plausibility of single effect rows: wording, sign, size, error, interval, and the test printed beside."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from replication.dataset import Dataset
from replication.dataset.columns import Columns
from replication.dataset.problems import shown
from replication.dataset.recipes import of_levels
from replication.dataset.schema import Construct
from replication.effects.correlation import correlation_variance, fisher_z_variance, n_for_variance, to_fisher_z
from replication.printed import MINUS_SIGNS
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
_PLAIN = {**MINUS_SIGNS, **str.maketrans(",", ".", "+")}


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
_CLEAR_SIGN = 0.05  # small values of either sign are what chance makes of a weak association
_VERY_LARGE = 0.9
_SE_TOO_LARGE, _SE_TOO_SMALL = 3.0, 0.5
_PLACE = ("work", "line", "effect_id")
_COLUMNS = (
    "var_a", "var_b", "statistic", "value", "value_text", "n", "n_effective", "se",
    "ci_low", "ci_high", "test", "p", "conversion", "as_printed", "reading", "unit",
)  # fmt: skip


Row = Mapping[str, Any]


def effect_queries(dataset: Dataset, works: frozenset[str]) -> Iterator[Query]:
    """Every question about a single effect row of these works.

    Each kind of question goes down the few columns that say whom it can be asked of: most rows of a long table are
    asked nothing.
    """
    effects = dataset.columns("effects.csv").of_works(works)
    # A row without a value, or with an impossible one, is the dataset checker's: what follows from it says nothing.
    values = effects.rows("statistic", "value")
    sound = effects.where([abs(v) <= 1 if s in _CORRELATIONS else not math.isnan(v) for s, v in values])
    ends = sound.rows("ci_low", "ci_high")
    yield from _asked(sound, [not (math.isnan(low) and math.isnan(high)) for low, high in ends], _interval)
    yield from _asked(sound, [w and not c for w, c in sound.rows("as_printed", "conversion")], _wording)
    errors = sound.rows("statistic", "se")
    yield from _asked(sound, [s == "r" and not math.isnan(se) for s, se in errors], _standard_error)
    levels = {unit for unit in set(sound["unit"]) if of_levels(unit)}
    # Between schools other signs and sizes are no slips.
    own = sound.where([s in _CORRELATIONS and unit not in levels for s, unit in sound.rows("statistic", "unit")])
    constructs = dataset.vocabulary.constructs
    signs = {(a, b): _expected_sign(constructs, a, b) for a, b in set(own.rows("var_a", "var_b"))}
    pairs = zip(own.rows("var_a", "var_b"), own["value"], strict=True)
    yield from _asked(own, [signs[pair] * v <= -_CLEAR_SIGN for pair, v in pairs], partial(_sign, constructs))
    yield from _asked(own, [v == 0 or abs(v) > _VERY_LARGE for v in own["value"]], _size)
    yield from _asked(own, map(any, own.rows("test", "p", "as_printed")), _tests)


def _asked(effects: Columns, keep: Iterable[object], ask: Callable[[Place, Row], Iterator[Query]]) -> Iterator[Query]:
    """What is asked of the rows to keep; long tables say the same again and again, and are asked the same."""
    rows = effects.where(keep)
    judged: dict[tuple[Any, ...], tuple[Query, ...]] = {}
    for (work, line, row), cells in zip(rows.rows(*_PLACE), rows.rows(*_COLUMNS), strict=True):
        place = Place(f"{work}/effects.csv", line, row)
        if cells not in judged:
            judged[cells] = tuple(ask(place, dict(zip(_COLUMNS, cells, strict=True))))
        yield from (question.at(place) for question in judged[cells])


def _wording(place: Place, row: Row) -> Iterator[Query]:
    return check_wording(place, row["statistic"], row["value_text"], row["as_printed"])


def _expected_sign(constructs: Mapping[str, Construct], a: str, b: str) -> int:
    """The sign expected of a pair; 0 with a covariate: better-off students are not the more engaged everywhere."""
    sides = (constructs[a], constructs[b])
    return 0 if "covariate" in {side.side for side in sides} else sides[0].valence * sides[1].valence


def _sign(constructs: Mapping[str, Construct], place: Place, row: Row) -> Iterator[Query]:
    """A clear sign against the constructs, beyond twice its standard error where it is not large."""
    value, a, b = row["value"], constructs[row["var_a"]], constructs[row["var_b"]]
    n = float(n_for_variance(row["n"], row["n_effective"], least=3))
    if abs(value) >= 0.1 or (n > 3 and to_fisher_z(abs(value)) > 2 * math.sqrt(fisher_z_variance(n))):
        direction = "above" if value < 0 else "below"
        yield Query.about(
            place,
            "value",
            "sign",
            row["value_text"],
            f"a value {direction} 0 for {a.label} with {b.label}",
            "was a scale reversed, or a minus lost? if the source says so, answer it",
        )


def _size(place: Place, row: Row) -> Iterator[Query]:
    value = row["value"]
    if abs(value) > _VERY_LARGE:
        hint = "is it r squared, a reliability, or one measure twice?"
        yield Query.about(place, "value", "very-large", row["value_text"], "a correlation within -.9 and .9", hint)
    if value == 0 and row["reading"] != "computed":
        hint = "does the source print 0, or was the cell empty? an empty cell is not zero"
        yield Query.about(place, "value", "exact-zero", row["value_text"], "a correlation that was computed", hint)


def _tests(place: Place, row: Row) -> Iterator[Query]:
    """The tests and the p printed beside the value; a converted value follows from them."""
    correlation = Correlation(row["value_text"], row["n"], row["statistic"] == "partial_r")
    if row["test"] or row["as_printed"]:
        yield from check_tests(place, correlation, row["test"], row["as_printed"])
    if row["p"] or row["as_printed"]:
        yield from check_p(place, correlation, row["p"], row["as_printed"])


def _standard_error(place: Place, row: Row) -> Iterator[Query]:
    se, value = row["se"], row["value"]
    n = float(n_for_variance(row["n"], row["n_effective"], least=1))
    expected = math.sqrt(correlation_variance(value, n)) if n > 1 else math.nan
    if not expected > 0 or _SE_TOO_SMALL <= se / expected <= _SE_TOO_LARGE:
        return
    hint = "is it a standard deviation, or the error of something else?" if se > expected else "is n right?"
    yield Query.about(place, "se", "se", f"{se:g}", f"about {expected:.3f} for this value and n {n:g}", hint)


def _interval(place: Place, row: Row) -> Iterator[Query]:
    low, high = row["ci_low"], row["ci_high"]
    if math.isnan(low) or math.isnan(high):
        yield one_end(place, *("" if math.isnan(end) else f"{end:g}" for end in (low, high)))
        return
    n = float(n_for_variance(row["n"], row["n_effective"], least=3)) if row["statistic"] == "r" else math.nan
    texts = (row["value_text"], f"{low:g}", f"{high:g}")
    yield from check_interval(place, "ci_low", IntervalCheck(texts, row["statistic"], n, zeros_lost=True))
