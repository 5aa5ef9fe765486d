"""Plausibility of printed results: possible, inside their interval, and in the middle of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from replication.dataset import Dataset
from replication.printed import parse_printed
from replication.study.plausibility.intervals import IntervalCheck, check_interval, one_end, outside
from replication.study.plausibility.suspicion import Place, Suspicion

__all__ = ["claim_suspicions"]

_SYMMETRIC = ("r", "beta", "b", "d", "g", "z")
_BOUNDED = ("r", "r_s")
_COLUMNS = ("work", "line", "claim_id", "statistic", "printed", "ci_low", "ci_high")


def claim_suspicions(dataset: Dataset, works: frozenset[str]) -> Iterator[Suspicion]:
    """Every question about the printed results of these works."""
    claims = dataset.claims
    claims = claims[claims["work"].isin(works)]
    for work, line, claim, statistic, *texts in zip(*(claims[name].tolist() for name in _COLUMNS), strict=True):
        place = Place(f"{work}/claims.csv", line, claim)
        if not _impossible(statistic, texts):
            yield from _interval(place, statistic, texts)


def _impossible(statistic: str, texts: list[str]) -> bool:
    """A correlation beyond 1, or ends in the wrong order: errors, which the dataset's checker says."""
    value, low, high = (parse_printed(text).value if text else math.nan for text in texts)
    return low > high or (statistic in _BOUNDED and abs(value) > 1)


def _interval(place: Place, statistic: str, texts: list[str]) -> Iterator[Suspicion]:
    value, low, high = texts
    if bool(low) != bool(high):
        yield one_end(place, low, high)
    if not (value and low and high):
        return
    excluded = list(outside(place, value, low, high))
    yield from excluded
    if not excluded and statistic in _SYMMETRIC:
        yield from check_interval(place, "ci_low", IntervalCheck((value, low, high), statistic))
