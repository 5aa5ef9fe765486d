"""Plausibility across the rows of one sample: sizes, correlations that cannot stand together, per cent values, ages."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

from replication.dataset import Dataset
from replication.dataset.columns import Columns
from replication.dataset.countries import english_name, held_names, territory
from replication.dataset.problems import nearest
from replication.dataset.row_versions import version_numbers
from replication.printed import Printed, parse_printed
from replication.study.plausibility.query import Place, Query

__all__ = ["people_queries", "sample_queries"]

_SIZE_RATIO = 0.9
_LISTED = 8  # sizes named in a message

_SIDE = ("var", "measure", "informant")
_ALWAYS_POSSIBLE = 0.5  # three correlations up to here are possible: 1 - 3/4 - 2/8 is 0

Variable = tuple[str, ...]
Pair = tuple[Variable, Variable]
_Cell = tuple[float, str, str, int, str]  # value, as written, work, line, row


def sample_queries(dataset: Dataset, works: frozenset[str]) -> Iterator[Query]:
    """Every question about the samples of these works."""
    own = dataset.columns("effects.csv").of_works(works)
    # Computed rows come from one file and cannot contradict each other by a slip of the pen.
    printed = own.where(map("computed".__ne__, own["reading"]))
    yield from _sizes(printed, dataset)
    correlations = printed.rows("statistic", "value")
    yield from _triples(printed.where([statistic == "r" and abs(value) <= 1 for statistic, value in correlations]))
    yield from _countries(dataset, works)
    yield from _part_sizes(dataset.columns("samples.csv"), works)


def _part_sizes(samples: Columns, works: frozenset[str]) -> Iterator[Query]:
    """Parts that are no smaller than their whole: the size of all persons entered for boys and for girls."""
    sizes = dict(samples.rows("sample_id", "n"))
    for work, line, sample, n, whole in samples.of_works(works).rows("work", "line", "sample_id", "n", "subgroup_of"):
        if whole and n >= sizes.get(whole, math.inf):
            expected = f"fewer than the {sizes[whole]:g} of {whole}, of which it is a part"
            hint = "is it the size of the whole group? if the rows rest on all of them, answer it"
            yield Query.about(Place(f"{work}/samples.csv", line, sample), "n", "part-size", f"n {n:g}", expected, hint)


def _countries(dataset: Dataset, works: frozenset[str]) -> Iterator[Query]:
    """New samples without a country, or under a name others do not give it: models would take one country for two."""
    samples = dataset.columns("samples.csv")
    released = version_numbers(dataset.version)
    rows = samples.rows("work", "since", "country")
    new = [work in works and version_numbers(since) > released for work, since, _ in rows]
    if not any(new):
        return
    others = samples.where(not one for one in new)["country"]
    held = held_names(others)
    names = set(held.values()) | {name for name in others if not name.isupper()}
    for work, line, sample, country in samples.where(new).rows("work", "line", "sample_id", "country"):
        place = Place(f"{work}/samples.csv", line, sample)
        if not country:
            hint = "write its English name; if it is not said, or there are several, answer it"
            yield Query.about(place, "country", "country", "an empty cell", "the country of the sample", hint)
            continue
        land = territory(country)
        wanted = country if country in names else held.get(land) or (english_name(land) if land else "")
        if country != wanted:
            expected = f"{wanted}, one name for one country" if wanted else "the English name of one country"
            hint = f"write {wanted}: models group samples by it" if wanted else nearest(country, sorted(names))
            yield Query.about(place, "country", "country", country, expected, hint)


def _sizes(effects: Columns, dataset: Dataset) -> Iterator[Query]:
    """Sizes given for one sample in different tables."""
    own = _sizes_by_sample(effects)
    in_samples = _sizes_by_sample(dataset.columns("samples.csv"))  # the sample itself may be missing there
    in_means = _sizes_by_sample(dataset.columns("descriptives.csv"))
    # From the end, so that the first row of each sample is the one that stays.
    places = zip(*(reversed(effects[name]) for name in ("work", "line", "effect_id")), strict=True)
    first = dict(zip(reversed(effects["sample_id"]), places, strict=True))
    for sample, (work, line, row) in first.items():
        tables = {"effects.csv": own, "samples.csv": in_samples, "descriptives.csv": in_means}
        given = [(n, name) for name, sizes in tables.items() for n in sizes.get(sample, ())]
        if given and min(given)[0] < _SIZE_RATIO * max(given)[0]:
            more = f"; … ({len(given)} sizes)" if len(given) > _LISTED else ""
            found = "; ".join(f"n {n:g} in {name}" for n, name in given[:_LISTED]) + more
            expected = f"sizes of {sample} within a tenth of each other"
            hint = "missing answers explain small differences; is one a slip, or another group?"
            place = Place(f"{work}/effects.csv", line, row)
            yield Query.about(place, "n", "n-differs", found, expected, hint)


def _sizes_by_sample(rows: Columns) -> Mapping[str, Mapping[float, None]]:
    """The different sizes each sample is given in a table, in the order of its rows."""
    sizes: defaultdict[str, dict[float, None]] = defaultdict(dict)
    # Each pair once, in its order: the rows of a sample say one size again and again.
    for sample, n in dict.fromkeys(rows.rows("sample_id", "n")):
        if not math.isnan(n):
            sizes[sample][n] = None
    return sizes


def _triples(effects: Columns) -> Iterator[Query]:
    """Three correlations of three variables: 1 + 2abc - a^2 - b^2 - c^2 cannot be negative, whatever the rounding."""
    strong = {sample for sample, value in effects.rows("sample_id", "value") if abs(value) > _ALWAYS_POSSIBLE}
    own = effects.where(map(strong.__contains__, effects["sample_id"]))
    samples: defaultdict[str, dict[Pair, _Cell]] = defaultdict(dict)
    sides = (own.rows(*(f"{name}_{side}" for name in _SIDE)) for side in "ab")
    cells = own.rows("value", "value_text", "work", "line", "effect_id")
    for sample, a, b, cell in zip(own["sample_id"], *sides, cells, strict=True):
        if a != b:
            samples[sample][(a, b) if a < b else (b, a)] = cell
    for pairs in samples.values():
        if len(pairs) >= 3:
            yield from _impossible(pairs)


def _impossible(pairs: Mapping[Pair, _Cell]) -> Iterator[Query]:
    for x, y, z in _triangles(pairs):
        found = pairs[x, y], pairs[x, z], pairs[y, z]
        # The numbers first: they form a matrix of correlations nearly always, and nothing need be read again.
        if _determinant(found[0][0], found[1][0], found[2][0]) >= 0:
            continue
        texts = [text for _, text, *_ in found]
        if not _possible(*map(parse_printed, texts)):
            first, *others = [Place(f"{work}/effects.csv", line, row) for _, _, work, line, row in found]
            expected = "three correlations that can be true together"
            rows = [place.row for place in others]
            hint = f"a sign or a digit is wrong in {', '.join((first.row, *rows))}"
            yield Query.about(first, "value", "triple", ", ".join(texts), expected, hint, *rows)


def _triangles(pairs: Mapping[Pair, _Cell]) -> list[tuple[Variable, ...]]:
    """Three variables each two of which are a pair, a strong one among them: the shared neighbours of that pair.

    All triples of the variables would be walked for nothing where most pairs are missing, as in a table of predictors
    by outcomes, or weak.
    """
    beside: defaultdict[Variable, set[Variable]] = defaultdict(set)
    for a, b in pairs:
        beside[a].add(b)
        beside[b].add(a)
    strong = [pair for pair, cell in pairs.items() if abs(cell[0]) > _ALWAYS_POSSIBLE]
    triangles = {tuple(sorted((a, b, c))) for a, b in strong for c in beside[a] & beside[b]}
    return sorted(triangles)


def _possible(a: Printed, b: Printed, c: Printed) -> bool:
    """Whether some correlations that print like these three form a correlation matrix."""
    if _determinant(a.value, b.value, c.value) >= 0:
        return True
    # The eight corners stand for all roundings, beside the printed point itself.
    ends = itertools.product((a.low, a.high), (b.low, b.high), (c.low, c.high))
    return any(_determinant(*corner) >= 0 for corner in ends)


def _determinant(a: float, b: float, c: float) -> float:
    return 1 + 2 * a * b * c - a**2 - b**2 - c**2


_AGES = {  # mean ages in years: wide enough for every school system
    "preschool": (1, 8),
    "primary": (4, 15),
    "secondary": (9, 22),
    "mixed": (3, 22),
    "higher": (16, 60),
    "teacher": (19, 70),
}
_BY_SETTING = {"school": "mixed", "higher_education": "higher", "child_care": "preschool"}
_COLUMNS = ("work", "line", "sample_id", "unit", "school_level", "age_mean", "female_pct", "ses")


def people_queries(dataset: Dataset, works: frozenset[str]) -> Iterator[Query]:
    """Every question about the people of these works' samples."""
    samples = dataset.columns("samples.csv").of_works(works)
    by_work = {key: _BY_SETTING.get(work.setting, "") for key, work in dataset.works.items()}
    for work, line, sample, unit, level, age, *shares in samples.rows(*_COLUMNS):
        place = Place(f"{work}/samples.csv", line, sample)
        yield from _age(place, "teacher" if unit == "teacher" else level or by_work.get(work, ""), age)
        for column, share in zip(("female_pct", "ses"), shares, strict=True):
            if 0 < share <= 1:
                expected, hint = "per cent, 0 to 100", f"is it a share? then write {100 * share:g}"
                yield Query.about(place, column, "share", f"{share:g}", expected, hint)


def _age(place: Place, group: str, age: float) -> Iterator[Query]:
    low, high = _AGES.get(group, (-math.inf, math.inf))
    if age < low or age > high:
        expected = f"a mean age from {low:g} to {high:g} years ({group})"
        yield Query.about(place, "age_mean", "age", f"{age:g}", expected, "is a digit or the school level wrong?")
