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

__all__ = ["Compared", "Lacking", "Recomputed", "compare_with_stored", "computed_lines", "effect_rows", "recipe_of"]

_DECIMALS = 4
_Key = tuple[str, frozenset[tuple[str, str]]]
_FIELDS = ("value", "value_weighted", "n", "n_effective")


@dataclass(frozen=True, slots=True)
class Compared:
    """A computed row, the id it is stored under ("" where it is new), and the fields that come out otherwise."""

    row: ComputedRow
    stored: str
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lacking:
    """A pair without any r: which, the id it is stored under ("" where it is not), and why it has none."""

    pair: str
    stored: str
    reason: str


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A sample recomputed: the pairs with an r beside what is stored, and the pairs without."""

    rows: tuple[Compared, ...]
    lacking: tuple[Lacking, ...]

    @property
    def reproduced(self) -> bool:
        """Whether everything stored comes out, and as it is stored."""
        return not any(entry.differs for entry in self.rows) and not any(entry.stored for entry in self.lacking)


def recipe_of(dataset: Dataset, sample: str) -> tuple[str, Recipe]:
    """The work and the recipe that make a sample; UserError names the nearest when there is none."""
    recipe = find_recipe([r for recipes in dataset.recipes.values() for r in recipes], sample)
    work = next(key for key, recipes in dataset.recipes.items() if recipe in recipes)
    return work, recipe


def compare_with_stored(dataset: Dataset, work: str, recipe: Recipe, paths: Sequence[Path], sample: str) -> Recomputed:
    """Compute, round as the dataset does, and compare with the stored rows.

    Raises
    ------
    UserError
        when the files do not fit the recipe or give no correlation at all.
    """
    computed = compute_recipe(recipe, paths, sample)
    stored = _stored(dataset, work, {row.sample for row in computed})
    compared, lacking = [], []
    for row in computed:
        held = stored.pop(_key(row), None)
        name = "" if held is None else str(held["effect_id"])
        if not math.isfinite(row.r):
            lacking.append(Lacking(_words(row), name, row.note))
            continue
        differs = () if held is None else tuple(_differing(row, held, recipe))
        compared.append(Compared(row, name, differs))
    for held in stored.values():
        if held["reading"] == "computed":
            pair = (
                f"{held['sample_id']}: {held['var_a']} ({held['measure_a']}) with {held['var_b']} ({held['measure_b']})"
            )
            lacking.append(Lacking(pair, str(held["effect_id"]), "the recipe makes no such pair"))
    return Recomputed(tuple(compared), tuple(lacking))


def computed_lines(found: Recomputed) -> Iterator[str]:
    """A line a correlation, a line a pair without one, and the result in a sentence."""
    for entry in found.rows:
        row = entry.row
        mark = "new" if not entry.stored else ("differs: " + ", ".join(entry.differs) if entry.differs else "as stored")
        weighted = f", weighted {row.r_weighted:.4f}" if math.isfinite(row.r_weighted) else ""
        effective = f", n_effective {row.n_effective:.0f}" if math.isfinite(row.n_effective) else ""
        note = f" ({row.note})" if row.note else ""
        yield f"{_words(row)}: r {row.r:.4f}{weighted}, n {row.n}{effective} [{mark}]{note}"
    for lack in found.lacking:
        yield f"{lack.pair}: no r, {lack.reason} [{f'stored as {lack.stored}' if lack.stored else 'not stored'}]"
    same = sum(bool(entry.stored) and not entry.differs for entry in found.rows)
    differ = sum(bool(entry.differs) for entry in found.rows)
    new = sum(not entry.stored for entry in found.rows)
    lost = sum(bool(lack.stored) for lack in found.lacking)
    not_out = f" {lost} stored pairs do not come out at all." if lost else ""
    yield f"{same} as stored to the printed digits, {differ} otherwise, {new} not in the dataset.{not_out}"


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


def _stored(dataset: Dataset, work: str, samples: set[str]) -> dict[_Key, Mapping[Hashable, object]]:
    """The stored rows of the samples that count today, by pair."""
    effects = dataset.effects
    rows = effects[(effects["work"] == work) & effects["sample_id"].isin(samples) & (effects["until"] == "")]
    return {_pair(row): row for row in rows.to_dict("records")}


def _pair(row: Mapping[Hashable, object]) -> _Key:
    sides = ((str(row["var_a"]), str(row["measure_a"])), (str(row["var_b"]), str(row["measure_b"])))
    return str(row["sample_id"]), frozenset(sides)


def _key(row: ComputedRow) -> _Key:
    return row.sample, frozenset(((row.var_a, row.measure_a), (row.var_b, row.measure_b)))


def _words(row: ComputedRow) -> str:
    return f"{row.sample}: {row.var_a} ({row.measure_a}) with {row.var_b} ({row.measure_b})"


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
