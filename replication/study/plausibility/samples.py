"""Plausibility across rows of one sample: its sizes, and correlations that cannot stand together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

import pandas as pd

from replication.dataset import Dataset
from replication.printed import Printed, parse_printed
from replication.study.plausibility.suspicion import Place, Suspicion

__all__ = ["sample_suspicions"]

_SIZE_RATIO = 0.9
_LISTED = 8  # sizes named in a message
_MOST_VARIABLES = 40  # triples grow with the third power; no printed table is larger

Variable = tuple[str, str, str]


def sample_suspicions(dataset: Dataset, works: frozenset[str]) -> Iterator[Suspicion]:
    """Every question about the samples of these works."""
    effects = dataset.effects
    own = effects[effects["work"].isin(works)]
    printed = own[own["reading"] != "computed"]
    yield from _sizes(printed, dataset)
    yield from _triples(printed[(printed["statistic"] == "r") & (printed["value"].abs() <= 1)])


def _sizes(effects: pd.DataFrame, dataset: Dataset) -> Iterator[Suspicion]:
    """Sizes given for one sample in different tables."""
    samples = dataset.samples
    sizes = dict(zip(samples["sample_id"], samples["n"], strict=True))
    means = dataset.table("descriptives.csv").groupby("sample_id")
    for sample, rows in effects.groupby("sample_id", sort=False):
        given = {f"n {n:g} in effects.csv": n for n in rows["n"].unique()}
        size = sizes.get(sample, math.nan)  # the sample itself may have an error
        given[f"n {size:g} in samples.csv"] = size
        if sample in means.groups:
            given |= {f"n {n:g} in descriptives.csv": n for n in means.get_group(sample)["n"].unique()}
        numbers = [n for n in given.values() if not math.isnan(n)]
        if numbers and min(numbers) < _SIZE_RATIO * max(numbers):
            first = rows.iloc[0]
            place = Place(f"{first['work']}/effects.csv", int(first["line"]), first["effect_id"])
            names = [name for name, n in given.items() if not math.isnan(n)]
            found = "; ".join(names[:_LISTED]) + (f"; … ({len(names)} sizes)" if len(names) > _LISTED else "")
            expected = f"sizes of {sample} within a tenth of each other"
            hint = "missing answers explain small differences; is one a slip, or another group?"
            yield Suspicion.about(place, "n", "n-differs", found, expected, hint)


def _triples(effects: pd.DataFrame) -> Iterator[Suspicion]:
    """Three correlations of three variables: 1 + 2abc - a^2 - b^2 - c^2 cannot be negative, whatever the rounding."""
    names = ["var_a", "measure_a", "informant_a", "var_b", "measure_b", "informant_b"]
    for _, rows in effects.groupby("sample_id", sort=False):
        cells: dict[frozenset[Variable], tuple[Printed, Place]] = {}
        columns = (rows[name].tolist() for name in ("work", "line", "effect_id", "value_text", *names))
        for work, line, row, text, *sides in zip(*columns, strict=True):
            pair = frozenset((tuple(sides[:3]), tuple(sides[3:])))
            cells[pair] = (parse_printed(text), Place(f"{work}/effects.csv", line, row))
        variables = sorted(set().union(*cells)) if cells else []
        if len(variables) <= _MOST_VARIABLES:
            yield from _impossible(cells, variables)


def _impossible(
    cells: Mapping[frozenset[Variable], tuple[Printed, Place]], variables: list[Variable]
) -> Iterator[Suspicion]:
    for x, y, z in itertools.combinations(variables, 3):
        trio = [cells.get(frozenset(pair)) for pair in ((x, y), (x, z), (y, z))]
        if None in trio:
            continue
        found = [entry for entry in trio if entry is not None]
        if not _possible(*(printed for printed, _ in found)):
            first, *others = [place for _, place in found]
            text = ", ".join(printed.text for printed, _ in found)
            expected = "three correlations that can be true together"
            hint = f"a sign or a digit is wrong in {', '.join(place.row for _, place in found)}"
            yield Suspicion.about(first, "value", "triple", text, expected, hint, *(place.row for place in others))


def _possible(a: Printed, b: Printed, c: Printed) -> bool:
    """Whether some correlations that print like these three form a correlation matrix."""
    if _determinant(a.value, b.value, c.value) >= 0:
        return True
    ends = itertools.product((a.low, a.high), (b.low, b.high), (c.low, c.high))
    return any(_determinant(*corner) >= 0 for corner in ends)


def _determinant(a: float, b: float, c: float) -> float:
    return 1 + 2 * a * b * c - a**2 - b**2 - c**2
