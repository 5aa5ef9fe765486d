"""`study compute`: a survey sample's correlations from the user's own copy of the file, beside what is stored."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from replication.dataset import Dataset
from replication.dataset.recipes import Recipe
from replication.study.microdata import ComputedRow, compute_recipe, find_recipe
from replication.study.new import next_version

__all__ = ["Compared", "compare_with_stored", "computed_lines", "effect_rows", "recipe_of"]

_DECIMALS = 4
_FIELDS = ("value", "value_weighted", "n", "n_effective")


@dataclass(frozen=True, slots=True)
class Compared:
    """A computed row, the id it is stored under ("" where it is new), and the fields that come out otherwise."""

    row: ComputedRow
    stored: str
    differs: tuple[str, ...]


def recipe_of(dataset: Dataset, sample: str) -> tuple[str, Recipe]:
    """The work and the recipe that make a sample; UserError names the nearest when there is none."""
    recipe = find_recipe([r for recipes in dataset.recipes.values() for r in recipes], sample)
    work = next(key for key, recipes in dataset.recipes.items() if recipe in recipes)
    return work, recipe


def compare_with_stored(
    dataset: Dataset, work: str, recipe: Recipe, paths: Sequence[Path], sample: str
) -> tuple[Compared, ...]:
    """Compute, round as the dataset does, and compare with the stored rows; pairs without any r are left out."""
    effects = dataset.effects
    stored = {_pair(row): row for row in effects[effects["work"] == work].to_dict("records")}
    compared = []
    for row in compute_recipe(recipe, paths, sample):
        if not math.isfinite(row.r):
            continue
        key = (row.sample, frozenset(((row.var_a, row.measure_a), (row.var_b, row.measure_b))))
        held = stored.get(key)
        differs = () if held is None else tuple(_differing(row, held, recipe))
        compared.append(Compared(row, "" if held is None else str(held["effect_id"]), differs))
    return tuple(compared)


def computed_lines(compared: Sequence[Compared]) -> Iterator[str]:
    """A line a correlation, and the result in a sentence."""
    for entry in compared:
        row = entry.row
        mark = "new" if not entry.stored else ("differs: " + ", ".join(entry.differs) if entry.differs else "as stored")
        weighted = f", weighted {row.r_weighted:.4f}" if math.isfinite(row.r_weighted) else ""
        effective = f", n_effective {row.n_effective:.0f}" if math.isfinite(row.n_effective) else ""
        pair = f"{row.var_a} ({row.measure_a}) with {row.var_b} ({row.measure_b})"
        yield f"{row.sample}: {pair}: r {row.r:.4f}{weighted}, n {row.n}{effective} [{mark}]"
    same = sum(bool(entry.stored) and not entry.differs for entry in compared)
    differ = sum(bool(entry.differs) for entry in compared)
    new = sum(not entry.stored for entry in compared)
    yield f"{same} as stored to the printed digits, {differ} otherwise, {new} not in the dataset."


def effect_rows(compared: Sequence[Compared], recipe: Recipe, version: str, taken: set[str]) -> list[dict[str, str]]:
    """The rows of `effects.csv` for what is not in the dataset yet."""
    rows = []
    for entry in compared:
        if entry.stored:
            continue
        row = entry.row
        number = next(i for i in range(1, 10_000) if f"{row.sample}-{i:03d}" not in taken)
        name = f"{row.sample}-{number:03d}"
        taken.add(name)
        rows.append(
            {
                "effect_id": name,
                "sample_id": row.sample,
                "var_a": row.var_a,
                "var_b": row.var_b,
                "statistic": "r",
                "value": _rounded(row.r, _DECIMALS),
                "n": str(row.n),
                "n_effective": _rounded(row.n_effective, recipe.effective_decimals),
                "value_weighted": _rounded(row.r_weighted, _DECIMALS),
                "measure_a": row.measure_a,
                "measure_b": row.measure_b,
                "informant_a": row.informant_a,
                "informant_b": row.informant_b,
                "source": f"{recipe.source} {'; '.join(recipe.file)}",
                "reading": "computed",
                "since": next_version(version),
            }
        )
    return rows


def _pair(row: Mapping[Hashable, object]) -> tuple[str, frozenset[tuple[str, str]]]:
    sides = ((str(row["var_a"]), str(row["measure_a"])), (str(row["var_b"]), str(row["measure_b"])))
    return str(row["sample_id"]), frozenset(sides)


def _differing(row: ComputedRow, held: Mapping[Hashable, object], recipe: Recipe) -> Iterator[str]:
    """Fields whose stored digits our unrounded number could not have been written as."""
    ours = {"value": row.r, "value_weighted": row.r_weighted, "n": float(row.n), "n_effective": row.n_effective}
    decimals = {"value": _DECIMALS, "value_weighted": _DECIMALS, "n": 0, "n_effective": recipe.effective_decimals}
    for name in _FIELDS:
        printed = float(str(held[name]))
        if math.isnan(printed):
            continue
        if not abs(printed - ours[name]) <= 0.5 * 10.0 ** -decimals[name] + 1e-9:
            yield name


def _rounded(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"
