"""Plausibility of single effect rows: sign, size, standard error, interval, and the test printed beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from replication.dataset import Dataset
from replication.study.plausibility.intervals import IntervalCheck, check_interval
from replication.study.plausibility.suspicion import Place, Suspicion
from replication.study.plausibility.tests_printed import check_p, check_tests

__all__ = ["effect_suspicions"]

_CORRELATIONS = ("r", "partial_r")
_CLEAR_SIGN = 0.05
_VERY_LARGE = 0.9
_SE_TOO_LARGE, _SE_TOO_SMALL = 3.0, 0.5
_COLUMNS = (
    "effect_id", "work", "line", "var_a", "var_b", "statistic", "value", "value_text", "n", "n_effective", "se",
    "ci_low", "ci_high", "test", "p", "as_printed", "reading",
)  # fmt: skip


def effect_suspicions(dataset: Dataset, works: frozenset[str]) -> Iterator[Suspicion]:
    """Every question about a single effect row of these works."""
    effects = dataset.effects
    effects = effects[effects["work"].isin(works)]
    for cells in zip(*(effects[name].tolist() for name in _COLUMNS), strict=True):
        row = dict(zip(_COLUMNS, cells, strict=True))
        place = Place(f"{row['work']}/effects.csv", row["line"], row["effect_id"])
        yield from _sign(place, row, dataset)
        yield from _size(place, row)
        yield from _interval(place, row)
        if row["statistic"] == "r":
            yield from _standard_error(place, row)
            yield from check_tests(place, row["value_text"], f"{row['test']} {row['as_printed']}")
            yield from check_p(place, row["value_text"], row["n"], row["p"], row["as_printed"])


def _sign(place: Place, row: Mapping[str, Any], dataset: Dataset) -> Iterator[Suspicion]:
    """A clear sign against the constructs: at least .05, and beyond twice its standard error."""
    value, n = row["value"], row["n_effective"] if row["n_effective"] > 3 else row["n"]
    constructs = dataset.vocabulary.constructs
    a, b = constructs[row["var_a"]], constructs[row["var_b"]]
    expected = a.valence * b.valence
    if value * expected >= 0 or abs(value) < _CLEAR_SIGN or row["statistic"] not in _CORRELATIONS:
        return
    if abs(value) >= 0.1 or abs(np.arctanh(min(abs(value), 0.999999))) * math.sqrt(max(n - 3, 0)) > 2:
        direction = "above" if expected > 0 else "below"
        yield Suspicion.about(
            place,
            "value",
            "sign",
            row["value_text"],
            f"a value {direction} 0 for {a.label} with {b.label}",
            "was a scale reversed, or a minus lost? if the source says so, answer it",
        )


def _size(place: Place, row: Mapping[str, Any]) -> Iterator[Suspicion]:
    value = row["value"]
    if row["statistic"] not in _CORRELATIONS:
        return
    if abs(value) > _VERY_LARGE:
        hint = "is it r squared, a reliability, or one measure twice?"
        yield Suspicion.about(place, "value", "very-large", row["value_text"], "a correlation within -.9 and .9", hint)
    if value == 0 and row["reading"] != "computed":
        hint = "does the source print 0, or was the cell empty? an empty cell is not zero"
        yield Suspicion.about(place, "value", "exact-zero", row["value_text"], "a correlation that was computed", hint)


def _standard_error(place: Place, row: Mapping[str, Any]) -> Iterator[Suspicion]:
    se, value = row["se"], row["value"]
    n = row["n_effective"] if row["n_effective"] > 1 else row["n"]
    expected = (1 - value**2) / math.sqrt(n - 1)
    if expected == 0 or math.isnan(se) or _SE_TOO_SMALL <= se / expected <= _SE_TOO_LARGE:
        return
    hint = "is it a standard deviation, or the error of something else?" if se > expected else "is n right?"
    yield Suspicion.about(place, "se", "se", f"{se:g}", f"about {expected:.3f} for this value and n {n:g}", hint)


def _interval(place: Place, row: Mapping[str, Any]) -> Iterator[Suspicion]:
    low, high = row["ci_low"], row["ci_high"]
    if math.isnan(low) or math.isnan(high):
        return
    n = (row["n_effective"] if row["n_effective"] > 3 else row["n"]) if row["statistic"] == "r" else math.nan
    texts = (row["value_text"], f"{low:g}", f"{high:g}")
    yield from check_interval(place, "ci_low", IntervalCheck(texts, row["statistic"], n, zeros_lost=True))
