"""Plausibility across samples: is another sample the same one, entered twice?"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from replication.dataset import Dataset
from replication.study.plausibility.query import Place, Query

__all__ = ["duplicate_queries"]

_FEWEST = 3  # shared correlations that make a copy likely
_NEAR = 1.02  # sizes of a sample and its copy
_LOOKED_AT = 20  # samples compared for each correlation: a value that more of them have tells nothing
_COLUMNS = ("work", "line", "effect_id", "sample_id", "var_a", "var_b", "value", "n")

Key = tuple[frozenset[str], float]
"""Two constructs and their correlation."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One correlation: where it stands, whose it is, and what it says."""

    work: str
    line: int
    row: str
    sample: str
    key: Key
    n: float

    @property
    def place(self) -> Place:
        return Place(f"{self.work}/effects.csv", self.line, self.row)


def duplicate_queries(dataset: Dataset, works: frozenset[str]) -> Iterator[Query]:
    """Samples of these works that may be another sample again: same n and value, or three values and nearly the n."""
    rows = sorted(_rows(dataset.effects), key=lambda row: row.work in works)
    apart = _related(dataset.samples)  # grows: each pair of samples is asked about once
    yield from _twins(rows, works, apart)
    yield from _copies(rows, works, apart)


def _rows(effects: pd.DataFrame) -> Iterator[_Row]:
    """The correlations that can tell samples apart: 0, an impossible one and one without n cannot."""
    value = effects["value"]
    effects = effects[(effects["statistic"] == "r") & (value != 0) & (value.abs() <= 1) & (effects["n"] > 0)]
    for work, line, row, sample, a, b, value, n in zip(*(effects[c].tolist() for c in _COLUMNS), strict=True):
        yield _Row(work, line, row, sample, (frozenset((a, b)), value), n)


def _related(samples: pd.DataFrame) -> set[frozenset[str]]:
    """Pairs of samples that are known to share persons or schools."""
    ids = samples["sample_id"].tolist()
    pairs = [*zip(ids, samples["subgroup_of"], strict=True), *zip(ids, samples["overlaps"], strict=True)]
    return {frozenset(pair) for pair in pairs if pair[1]}


def _twins(rows: list[_Row], works: frozenset[str], apart: set[frozenset[str]]) -> Iterator[Query]:
    """Another sample with the same n and the same correlation, once for each pair of samples."""
    first: dict[tuple[Key, float], _Row] = {}
    for row in rows:
        other = first.setdefault((row.key, row.n), row)
        pair = frozenset((row.sample, other.sample))
        if row.work in works and len(pair) == 2 and pair not in apart:
            apart.add(pair)
            found = f"r {row.key[1]:g}, n {row.n:g}"
            expected = f"a sample of its own, but {other.row} of {other.work} has the same n and value"
            hint = "if it is the same study, enter it once; if it is part of it, fill subgroup_of"
            yield Query.about(row.place, "sample_id", "same-sample", found, expected, hint, other.row)


def _copies(rows: list[_Row], works: frozenset[str], apart: set[frozenset[str]]) -> Iterator[Query]:
    """Another sample with nearly the same n, three or more of the same correlations, and at least half of its own."""
    samples: defaultdict[str, dict[Key, _Row]] = defaultdict(dict)
    for row in rows:
        samples[row.sample].setdefault(row.key, row)
    seen: defaultdict[tuple[Key, int], list[_Row]] = defaultdict(list)
    for own in samples.values():
        first = next(iter(own.values()))
        if len(own) >= _FEWEST and first.work in works:
            yield from _copy_of(own, samples, seen, apart)
        if len(own) >= _FEWEST:
            for row in own.values():
                seen[row.key, _step(row.n)].append(row)


def _copy_of(
    own: Mapping[Key, _Row],
    samples: Mapping[str, Mapping[Key, _Row]],
    seen: Mapping[tuple[Key, int], list[_Row]],
    apart: set[frozenset[str]],
) -> Iterator[Query]:
    shared = Counter(other.sample for row in own.values() for other in _alike(row, seen))
    first = next(iter(own.values()))
    for sample, count in shared.items():
        enough = count >= _FEWEST and 2 * count >= min(len(own), len(samples[sample]))
        if enough and frozenset((first.sample, sample)) not in apart:
            other = next(iter(samples[sample].values()))
            found = f"{count} correlations, n {first.n:g}"
            expected = f"a sample of its own, but {sample} of {other.work} has the same correlations and n {other.n:g}"
            hint = "is it a copy? if it is the same study, enter it once; if it is part of it, fill subgroup_of"
            yield Query.about(first.place, "sample_id", "near-copy", found, expected, hint, other.row)
            return


def _alike(row: _Row, seen: Mapping[tuple[Key, int], list[_Row]]) -> Iterator[_Row]:
    """Rows of samples seen before with the same correlation and nearly the same n."""
    step = _step(row.n)
    for near in (step - 1, step, step + 1):
        for other in itertools.islice(seen.get((row.key, near), ()), _LOOKED_AT):
            if max(row.n, other.n) <= _NEAR * min(row.n, other.n):
                yield other


def _step(n: float) -> int:
    """Sizes on a grid: those within the ratio of each other are on the same step or the next."""
    return math.floor(math.log(n) / math.log(_NEAR))
