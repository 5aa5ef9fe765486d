"""Plausibility across samples: is another sample the same one, entered twice?"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from replication.dataset import Dataset
from replication.dataset.columns import Columns
from replication.study.plausibility.query import Place, Query

__all__ = ["duplicate_queries"]

_FEWEST = 3  # shared correlations that make a copy likely
_NEAR = 1.02  # sizes of a sample and its copy
_LOOKED_AT = 20  # samples compared for each correlation: a value that more of them have tells nothing
_ROUND = (0.1, 0.2, 0.3, 0.4, 0.5)  # values that samples share by chance where one decimal is printed
_MOST_SAMPLES = 12  # samples of a work that are compared with each other
_COLUMNS = ("work", "line", "effect_id", "sample_id", "var_a", "var_b", "statistic", "value", "n")

Key = tuple[frozenset[str], float]
"""Two constructs and their correlation."""


class _Row(NamedTuple):
    """One correlation: where it stands, whose it is, and what it says. A tuple: there may be a hundred thousand."""

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
    # Others first, so that the question is asked of the work at hand and names the one that was there before.
    rows = sorted(_rows(dataset.columns("effects.csv")), key=lambda row: row.work in works)
    apart = _related(dataset.columns("samples.csv"))  # grows: each pair of samples is asked about once
    yield from _duplicates(rows, works, apart)
    yield from _copies(rows, works, apart)
    yield from _pasted(rows, works, apart)
    yield from _parts(dataset.columns("samples.csv").of_works(works))


def _rows(effects: Columns) -> Iterator[_Row]:
    """The correlations that can tell samples apart: 0, an impossible one and one without n cannot."""
    own = effects.where(s == "r" and 0 < abs(value) <= 1 and n > 0 for s, value, n in effects.rows(*_COLUMNS[-3:]))
    pairs = {pair: frozenset(pair) for pair in set(own.rows("var_a", "var_b"))}
    keys = zip(map(pairs.__getitem__, own.rows("var_a", "var_b")), own["value"], strict=True)
    return map(_Row, *(own[name] for name in _COLUMNS[:4]), keys, own["n"])


def _related(samples: Columns) -> set[frozenset[str]]:
    """Pairs of samples that are known to share persons or schools."""
    pairs = [*samples.rows("sample_id", "subgroup_of"), *samples.rows("sample_id", "overlaps")]
    return {frozenset(pair) for pair in pairs if pair[1]}


def _duplicates(rows: list[_Row], works: frozenset[str], apart: set[frozenset[str]]) -> Iterator[Query]:
    """Another sample with the same n and the same correlation, once for each pair of samples."""
    first: dict[tuple[Key, float], _Row] = {}
    for row in rows:
        other = first.setdefault((row.key, row.n), row)
        if other is row:
            continue
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
    seen: defaultdict[int, defaultdict[Key, list[_Row]]] = defaultdict(lambda: defaultdict(list))
    for own in samples.values():
        first = next(iter(own.values()))
        if len(own) >= _FEWEST and first.work in works:
            yield from _copy_of(own, samples, seen, apart)
        if len(own) >= _FEWEST:
            for row in own.values():
                seen[_step(row.n)][row.key].append(row)


def _copy_of(
    own: Mapping[Key, _Row],
    samples: Mapping[str, Mapping[Key, _Row]],
    seen: Mapping[int, Mapping[Key, Sequence[_Row]]],
    apart: set[frozenset[str]],
) -> Iterator[Query]:
    first = next(iter(own.values()))
    beside = {n: _near(n, seen) for n in {row.n for row in own.values()}}
    shared = Counter(
        other.sample
        for row in own.values()
        for there in beside[row.n]
        for other in there.get(row.key, ())[:_LOOKED_AT]
        if max(row.n, other.n) <= _NEAR * min(row.n, other.n)
    )
    for sample, count in shared.items():
        enough = count >= _FEWEST and 2 * count >= min(len(own), len(samples[sample]))
        if enough and frozenset((first.sample, sample)) not in apart:
            other = next(iter(samples[sample].values()))
            found = f"{count} correlations, n {first.n:g}"
            expected = f"a sample of its own, but {sample} of {other.work} has the same correlations and n {other.n:g}"
            hint = "is it a copy? if it is the same study, enter it once; if it is part of it, fill subgroup_of"
            yield Query.about(first.place, "sample_id", "near-copy", found, expected, hint, other.row)
            return


def _pasted(rows: list[_Row], works: frozenset[str], apart: set[frozenset[str]]) -> Iterator[Query]:
    """Two samples of one work with most values alike whatever their n: one group's numbers entered for another."""
    by_work: defaultdict[str, defaultdict[str, dict[frozenset[str], _Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row.work in works and row.key[1] not in _ROUND:
            by_work[row.work][row.sample].setdefault(row.key[0], row)
    for samples in by_work.values():
        if len(samples) > _MOST_SAMPLES:
            continue  # a file of many countries, computed: nobody pasted it
        for one, other in itertools.combinations(samples, 2):
            shared = [pair for pair in samples[one] if pair in samples[other]]
            alike = [pair for pair in shared if samples[one][pair].key == samples[other][pair].key]
            if len(alike) >= _FEWEST and len(alike) > len(shared) * 0.6 and frozenset((one, other)) not in apart:
                apart.add(frozenset((one, other)))
                first, second = samples[other][alike[0]], samples[one][alike[0]]
                found = f"{len(alike)} of {len(shared)} correlations as in {one}"
                hint = "were the numbers of one group entered for the other?"
                expected = f"values of {other} of its own"
                yield Query.about(first.place, "value", "near-copy", found, expected, hint, second.row)


def _parts(samples: Columns) -> Iterator[Query]:
    """Two to four samples of one work whose sizes add up to another's, of which nobody says that they are its parts."""
    by_work: defaultdict[str, list[tuple[int, str, float, str]]] = defaultdict(list)
    for work, line, sample, n, whole in samples.rows("work", "line", "sample_id", "n", "subgroup_of"):
        if n > 0:
            by_work[work].append((line, sample, n, whole))
    for work, own in by_work.items():
        if not 3 <= len(own) <= _MOST_SAMPLES:
            continue
        for line, sample, n, _ in own:
            parts = _adding_up(n, [entry for entry in own if entry[1] != sample and entry[3] == ""])
            if parts:
                place = Place(f"{work}/samples.csv", line, sample)
                names = " and ".join(parts)
                expected = f"a sample beside {names}, whose sizes add up to it"
                hint = f"is it the whole of them? then write {sample} into their subgroup_of"
                yield Query.about(place, "n", "parts", f"n {n:g}", expected, hint, *parts)


def _adding_up(n: float, others: list[tuple[int, str, float, str]]) -> tuple[str, ...]:
    """The first two to four samples whose sizes add up to n."""
    for count in range(2, min(4, len(others)) + 1):
        for some in itertools.combinations(others, count):
            # Sizes are whole numbers: their sum is exact in floats.
            if sum(entry[2] for entry in some) == n:
                return tuple(entry[1] for entry in some)
    return ()


def _near(n: float, seen: Mapping[int, Mapping[Key, Sequence[_Row]]]) -> list[Mapping[Key, Sequence[_Row]]]:
    """The rows seen before whose n may be nearly this one."""
    step = _step(n)
    return [seen[near] for near in (step - 1, step, step + 1) if near in seen]


@cache  # every row of a sample has the same n, mostly
def _step(n: float) -> int:
    """Sizes on a grid: those within the ratio of each other are on the same step or the next."""
    return math.floor(math.log(n) / math.log(_NEAR))
