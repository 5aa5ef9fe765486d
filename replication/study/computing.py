"""`study compute`: a survey sample's correlations from the user's own copy of the file, beside what is stored."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from replication.dataset import Dataset, readable_dataset
from replication.dataset.recipes import Recipe, of_levels
from replication.dataset.schema import TABLES
from replication.study.microdata import ComputedRow, compute_recipe, find_recipe
from replication.study.microdata.whole_files import CountryResult
from replication.study.new import next_version
from replication.study.tables import add_rows, read_rows, write_rows
from replication.writing import exclusive

__all__ = [
    "Compared",
    "Lacking",
    "Recomputed",
    "compare_rows",
    "compare_with_stored",
    "computed_lines",
    "country_lines",
    "country_rows",
    "effect_rows",
    "ids_in_use",
    "recipe_of",
    "replaced_rows",
    "rows_to_add",
    "store_computed",
]

_DECIMALS = 4
# Degrees of freedom of a replicate design are estimates themselves.
_DF_DECIMALS = 1
_Key = tuple[str, str, frozenset[tuple[str, str]]]


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
    """A sample recomputed: pairs with an r beside what is stored, pairs without, and notes on reading the file."""

    rows: tuple[Compared, ...]
    lacking: tuple[Lacking, ...]
    notes: tuple[str, ...] = ()

    @property
    def reproduced(self) -> bool:
        """Whether everything stored comes out, and as it is stored."""
        return not any(entry.differs for entry in self.rows) and not any(entry.stored for entry in self.lacking)


def recipe_of(dataset: Dataset, sample: str) -> tuple[str, Recipe]:
    """The work and the recipe that make a sample; UserError names the nearest when there is none."""
    # Over all works: a user names a sample and need not know whose folder it lies in.
    recipe = find_recipe([r for recipes in dataset.recipes.values() for r in recipes], sample)
    work = next(key for key, recipes in dataset.recipes.items() if recipe in recipes)
    return work, recipe


def compare_with_stored(
    dataset: Dataset,
    work: str,
    recipe: Recipe,
    paths: Sequence[Path],
    sample: str,
    *,
    levels: bool = False,
    encoding: str = "",
) -> Recomputed:
    """Compute, round as the dataset does, and compare with the stored rows; with `levels` also those of schools.

    Raises
    ------
    UserError
        when the files do not fit the recipe or give no correlation at all.
    """
    computed = compute_recipe(recipe, paths, sample, levels=levels, encoding=encoding)
    found = compare_rows(dataset, work, computed.rows, recipe, levels=levels)
    return replace(found, notes=computed.notes)


def compare_rows(
    dataset: Dataset, work: str, computed: Sequence[ComputedRow], recipe: Recipe, *, levels: bool = False
) -> Recomputed:
    """Computed rows beside what the work stores of their samples."""
    stored = _stored(dataset, work, {row.sample for row in computed}, levels=levels)
    compared, lacking = [], []
    for row in computed:
        # What is left in `stored` at the end is what the recipe no longer makes.
        held = stored.pop(_key(row), None)
        name = "" if held is None else str(held["effect_id"])
        if not math.isfinite(row.r):
            lacking.append(Lacking(_words(row), name, row.note))
            continue
        differs = () if held is None else tuple(_differing(row, held, recipe))
        compared.append(Compared(row, name, differs))
    for held in stored.values():
        # Rows that somebody read in print are not the recipe's to lose.
        if held["reading"] == "computed":
            pair = (
                f"{held['sample_id']}: {held['var_a']} ({held['measure_a']}) with {held['var_b']} ({held['measure_b']})"
            )
            lacking.append(Lacking(pair, str(held["effect_id"]), "the recipe makes no such pair"))
    return Recomputed(tuple(compared), tuple(lacking))


def country_lines(dataset: Dataset, found: CountryResult, recipe: Recipe, of: str) -> Iterator[str]:
    """A line per country of a whole file: persons, pairs, what is stored already of it, and what stands in the way."""
    name = found.sample or "persons"
    if found.problem:
        yield f"{of}: {name} ({found.persons} persons): not computed, {found.problem}"
        return
    rows = dataset.effects[(dataset.effects["sample_id"] == found.sample) & (dataset.effects["reading"] == "computed")]
    stored = {_pair(row): row for row in rows.to_dict("records")}
    pairs = [(row, stored.get(_key(row))) for row in found.rows if math.isfinite(row.r)]
    differ = sum(held is not None and any(_differing(row, held, recipe)) for row, held in pairs)
    known = sum(held is not None for _, held in pairs)
    said = f", {known} of them in the dataset from an extract ({differ} otherwise)" if known else ""
    earlier = ", computed earlier" if found.kept else ""
    yield f"{of}: {name}: {found.persons} persons, {len(pairs)} correlations{said}{earlier}"
    yield from (f"  note: {note}" for note in found.notes)


def country_rows(
    found: CountryResult, recipe: Recipe, version: str, taken: set[str] | None = None
) -> list[dict[str, str]]:
    """The rows of `effects.csv` a country gives; `taken` are ids in use, to which theirs are added."""
    ids = set() if taken is None else taken
    return [_effect_row(row, recipe, version, ids) for row in found.rows if math.isfinite(row.r)]


def computed_lines(found: Recomputed) -> Iterator[str]:
    """A line per correlation, a line per pair without one, and the result in a sentence."""
    yield from (f"note: {note}" for note in found.notes)
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
    return [_effect_row(entry.row, recipe, version, taken) for entry in compared if not entry.stored]


def replaced_rows(
    rows: Sequence[Mapping[str, str]], compared: Sequence[Compared], recipe: Recipe, version: str, taken: set[str]
) -> list[dict[str, str]]:
    """A work's rows after what comes out otherwise took the place of what is stored.

    A row of a released version is withdrawn and names its successor, which stands under it: a released version never
    changes. A row that only came in since the last release is corrected where it stands.

    Parameters
    ----------
    rows : the rows of `effects.csv`, in their order
    compared : what was computed, beside what is stored
    version : of the dataset, as released
    taken : ids in use; the new ones are added
    """
    # By the id stored: new rows have none, and are added elsewhere.
    otherwise = {entry.stored: entry for entry in compared if entry.differs}
    coming = next_version(version)
    after: list[dict[str, str]] = []
    for row in rows:
        entry = otherwise.get(row["effect_id"])
        if entry is None:
            after.append(dict(row))
            continue
        successor = _effect_row(entry.row, recipe, version, taken)
        fresh = {n: successor[n] for n in _NUMBERS if n in entry.differs or not row.get(n)}
        if row["since"] == coming:
            # The row keeps its own id, so the one just drawn is free again.
            taken.discard(successor["effect_id"])
            after.append({**row, **fresh})
        else:
            after.append({**row, "until": coming, "replaced_by": successor["effect_id"]})
            named = {name: successor[name] for name in ("effect_id", "since")}
            after.append({**row, **fresh, **named})  # what a person wrote of the pair still holds
    return after


def _effect_row(row: ComputedRow, recipe: Recipe, version: str, taken: set[str]) -> dict[str, str]:
    mark = ("w-" if " within " in row.unit else "b-") if row.unit else ""  # within and between, beside plain rows
    before = f"{row.sample}-{mark}"
    # The first free number: ids follow the order of the recipe and are the same on every machine.
    number = next(i for i in range(1, 100_000) if f"{before}{i:03d}" not in taken)
    name = f"{before}{number:03d}"
    taken.add(name)
    return {"effect_id": name, **_cells(row, recipe), "reading": "computed", "since": next_version(version)}


_NUMBERS = (
    "value",
    "n",
    "n_effective",
    "n_effective_df",
    "n_effective_unweighted",
    "value_weighted",
    "clusters",
    "icc_a",
    "icc_b",
    "contextual",
    "contextual_se",
    "concordant",
    "tied",
)
"""The cells a recomputation may change; what a person wrote (note, flags) stays."""


def _cells(row: ComputedRow, recipe: Recipe) -> dict[str, str]:
    """The cells of `effects.csv` that follow from a computed row."""
    decimals = recipe.effective_decimals
    return {
        "sample_id": row.sample,
        "var_a": row.var_a,
        "var_b": row.var_b,
        "statistic": "r",
        "value": _rounded(row.r, _DECIMALS),
        "n": str(row.n),
        "n_effective": _rounded(row.n_effective, decimals),
        "n_effective_df": _rounded(row.df, _DF_DECIMALS) if math.isfinite(row.df) else "",
        "n_effective_unweighted": _rounded(row.n_effective_unweighted, decimals),
        "value_weighted": _rounded(row.r_weighted, _DECIMALS),
        "measure_a": row.measure_a,
        "measure_b": row.measure_b,
        "informant_a": row.informant_a,
        "informant_b": row.informant_b,
        "unit": row.unit,
        "clusters": str(row.clusters) if row.clusters else "",
        "icc_a": _rounded(row.icc_a, _DECIMALS),
        "icc_b": _rounded(row.icc_b, _DECIMALS),
        "contextual": _rounded(row.contextual, _DECIMALS),
        "contextual_se": _rounded(row.contextual_se, _DECIMALS),
        "concordant": _rounded(row.concordant, _DECIMALS),
        "tied": _rounded(row.tied, _DECIMALS),
        "flags": ";".join(row.flags),
        "source": f"{recipe.source} {'; '.join(recipe.file)}",
        "note": row.note if row.unit else "",
    }


def ids_in_use(dataset: Dataset) -> set[str]:
    """Every id of a row or a sample, of those that were withdrawn too: a later row never takes an earlier one's id."""
    # An id stands in released reports for what it was; taken again it would lead to another row.
    gone = [dataset.withdrawn[name] for name in ("effects.csv", "samples.csv") if name in dataset.withdrawn]
    tables = (dataset.effects, dataset.samples, *gone)
    return {
        str(name)
        for table in tables
        for column in ("effect_id", "sample_id")
        if column in table
        for name in table[column]
    }


def store_computed(
    root: Path, work: str, compared: Sequence[Compared], recipe: Recipe, *, write: bool, replace: bool
) -> list[str]:
    """Store what was computed, all or nothing, and say what was done: `replace` rows that differ, `write` new ones."""
    path, table = root / work / "effects.csv", TABLES["effects.csv"]
    with exclusive(root):
        # Read again under the lock: rows and ids may have been added since these were computed.
        dataset = readable_dataset(root)
        taken, present, said = ids_in_use(dataset), read_rows(path, table), []
        if replace:
            present = replaced_rows(present, compared, recipe, dataset.version, taken)
            said.append(f"Replaced {sum(bool(entry.differs) for entry in compared)} rows of {work}/effects.csv.")
        new = rows_to_add(dataset, work, compared, recipe, taken) if write else []
        if write:
            said.append(f"Added {len(new)} rows to {work}/effects.csv.")
        if replace:
            write_rows(path, table, [*present, *new])
        elif new:
            add_rows(path, table, new)
    return said


def rows_to_add(
    dataset: Dataset, work: str, compared: Sequence[Compared], recipe: Recipe, taken: set[str]
) -> list[dict[str, str]]:
    """The rows of `effects.csv` that the dataset, as it stands now, lacks: somebody may have added some meanwhile.

    `taken` are the ids in use, as `ids_in_use` gives them; the new ones are added.
    """
    stored = _stored(dataset, work, {entry.row.sample for entry in compared}, levels=True)
    new = [entry for entry in compared if _key(entry.row) not in stored and not _second_scoring(entry.row, stored)]
    rows = effect_rows(new, recipe, dataset.version, taken)
    return [_as_its_students(cells, entry.row, stored) for cells, entry in zip(rows, new, strict=True)]


def _students(row: ComputedRow, stored: Mapping[_Key, Mapping[Hashable, object]]) -> Mapping[Hashable, object]:
    """The stored row of the same pair with students as they come; empty where there is none or it is that itself."""
    sample, unit, pair = _key(row)
    return stored.get((sample, "", pair), {}) if unit else {}


def _second_scoring(row: ComputedRow, stored: Mapping[_Key, Mapping[Hashable, object]]) -> bool:
    """Whether the pair is, among students, a part of another row: then that row's levels say it already."""
    return bool(_students(row, stored).get("part_of", ""))


def _as_its_students(
    cells: dict[str, str], row: ComputedRow, stored: Mapping[_Key, Mapping[Hashable, object]]
) -> dict[str, str]:
    """Reservations about a pair hold at every level of it."""
    # A person's judgement of the pair goes before what the computation says of its own row.
    flags = str(_students(row, stored).get("flags", ""))
    return {**cells, "flags": flags or cells["flags"]}


def _stored(dataset: Dataset, work: str, samples: set[str], *, levels: bool) -> dict[_Key, Mapping[Hashable, object]]:
    """The stored rows of the samples that count today, by unit and pair; those of schools only with `levels`."""
    effects = dataset.effects
    rows = effects[(effects["work"] == work) & effects["sample_id"].isin(samples) & (effects["until"] == "")]
    return {_pair(row): row for row in rows.to_dict("records") if levels or not of_levels(str(row["unit"]))}


def _pair(row: Mapping[Hashable, object]) -> _Key:
    sides = ((str(row["var_a"]), str(row["measure_a"])), (str(row["var_b"]), str(row["measure_b"])))
    unit = str(row["unit"])
    # As a set: which side came first has no meaning for r, and recipes may be written in another order.
    return str(row["sample_id"]), unit if of_levels(unit) else "", frozenset(sides)


def _key(row: ComputedRow) -> _Key:
    return row.sample, row.unit, frozenset(((row.var_a, row.measure_a), (row.var_b, row.measure_b)))


def _words(row: ComputedRow) -> str:
    unit = f", {row.unit}" if row.unit else ""
    return f"{row.sample}{unit}: {row.var_a} ({row.measure_a}) with {row.var_b} ({row.measure_b})"


def _differing(row: ComputedRow, held: Mapping[Hashable, object], recipe: Recipe) -> Iterator[str]:
    """Fields whose stored digits our unrounded number could not have been written as."""
    few = recipe.effective_decimals
    ours = {
        "value": (row.r, _DECIMALS),
        "value_weighted": (row.r_weighted, _DECIMALS),
        "n": (float(row.n), 0),
        "n_effective": (row.n_effective, few),
        "n_effective_df": (row.df, _DF_DECIMALS),
        "n_effective_unweighted": (row.n_effective_unweighted, few),
        "icc_a": (row.icc_a, _DECIMALS),
        "icc_b": (row.icc_b, _DECIMALS),
        "contextual": (row.contextual, _DECIMALS),
        "contextual_se": (row.contextual_se, _DECIMALS),
        "concordant": (row.concordant, _DECIMALS),
        "tied": (row.tied, _DECIMALS),
    }
    for name, (value, decimals) in ours.items():
        printed = float(str(held[name]))
        if math.isnan(printed):
            # an effective n without degrees of freedom is of the rule before 1.2.0, even where both agree
            if name == "n_effective_df" and math.isfinite(value):
                yield name
            continue
        # Half a unit of the last digit; 1e-9 for halves that binary numbers cannot hold. NaN counts as different.
        if not abs(printed - value) <= 0.5 * 10.0**-decimals + 1e-9:
            yield name


def _rounded(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"
