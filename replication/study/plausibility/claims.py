"""Plausibility of printed results: is the value in the middle of its interval?"""

from __future__ import annotations

from collections.abc import Iterator

from replication.dataset import Dataset
from replication.study.plausibility.intervals import IntervalCheck, check_interval
from replication.study.plausibility.suspicion import Place, Suspicion

__all__ = ["claim_suspicions"]

_SYMMETRIC = ("r", "beta", "b", "d", "g", "z")


def claim_suspicions(dataset: Dataset, works: frozenset[str]) -> Iterator[Suspicion]:
    """Every question about the printed results of these works."""
    claims = dataset.claims
    claims = claims[claims["work"].isin(works) & claims["statistic"].isin(_SYMMETRIC)]
    claims = claims[(claims["printed"] != "") & (claims["ci_low"] != "") & (claims["ci_high"] != "")]
    columns = ("work", "line", "claim_id", "statistic", "printed", "ci_low", "ci_high")
    for work, line, claim, statistic, *texts in zip(*(claims[name].tolist() for name in columns), strict=True):
        place = Place(f"{work}/claims.csv", line, claim)
        yield from check_interval(place, "ci_low", IntervalCheck((texts[0], texts[1], texts[2]), statistic))
