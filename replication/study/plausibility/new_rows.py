"""Questions about rows that are new: far from other studies, without a place, from many schools taken for one.

Rows of released versions are not asked again: what was answered by release needs no second reader.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from replication.dataset import Dataset
from replication.dataset.columns import Columns
from replication.dataset.problems import shown
from replication.dataset.row_versions import version_numbers
from replication.effects.correlation import back_to_r, correlation_variance, fisher_z_variance, to_fisher_z
from replication.study.plausibility.query import Place, Query

__all__ = ["new_row_queries"]

_FEWEST = 6  # other samples that make a distribution
_FAR = 2.8  # standard deviations of a new study's r: about one honest row in two hundred is asked about
_FEWEST_PRINTED = 3  # other rows that show how many decimals a table prints
_P_SMALLEST, _P_AT_MOST = 0.001, 0.1  # an r of .001 or less is rare; p values up to .1 are what articles print
_PERSONS = frozenset(("student", "peer", "parent"))
_PLACED = ("table", "text")
_COLUMNS = (
    "work", "line", "effect_id", "sample_id", "var_a", "var_b", "statistic", "value", "value_text", "n", "n_effective",
    "se", "measure_a", "measure_b", "informant_a", "informant_b", "reading", "locator", "unit", "since", "clusters",
    "icc", "design", "time_a", "time_b", "lag", "flags",
)  # fmt: skip

Pair = tuple[str, frozenset[str]]
"""A unit and two constructs: what is comparable across studies."""


def new_row_queries(dataset: Dataset, works: frozenset[str]) -> Iterator[Query]:
    """Every question about the rows of these works that are in no released version yet, and were not computed."""
    effects = dataset.columns("effects.csv")
    released = version_numbers(dataset.version)
    coming = {since for since in set(effects["since"]) if version_numbers(since) > released}
    own = effects.of_works(works) if coming else effects.between(0, 0)
    new = own.where([since in coming and reading != "computed" for since, reading in own.rows("since", "reading")])
    rows = list(new.records(*_COLUMNS))
    if not rows:
        return
    known = _known(effects.where(work not in works for work in effects["work"]))
    schools = dict(dataset.columns("samples.csv").rows("sample_id", "schools"))
    for row in rows:
        place = Place(f"{row['work']}/effects.csv", row["line"], row["effect_id"])
        yield from _place(place, row)
        yield from _unit(place, row)
        yield from _times(place, row)
        yield from _clusters(place, row, schools)
        yield from _standard_error(place, row)
        yield from _prediction(place, row, known)
        yield from _flag(place, row, dataset)
    yield from _p_values(rows)
    yield from _swapped(rows)
    yield from _informants(rows)
    yield from _constructs(rows)
    yield from _years(dataset, works, coming)
    yield from _tests(dataset, rows)


def _place(place: Place, row: Mapping[str, Any]) -> Iterator[Query]:
    if row["reading"] in _PLACED and not row["locator"]:
        hint = "write the page and the table, so that a second reader finds it"
        yield Query.about(place, "locator", "locator", "an empty cell", f"where in the {row['reading']}", hint)


def _unit(place: Place, row: Mapping[str, Any]) -> Iterator[Query]:
    """A student reports for a student; what is averaged over a school has an informant of its own."""
    informants = {row["informant_a"], row["informant_b"]} & _PERSONS
    if row["unit"] in ("school", "class") and informants:
        hint = "is one case a student? then the unit is student; averages have students_school_average as informant"
        expected = f"an informant of a {row['unit']}, such as principal or records"
        yield Query.about(place, "unit", "unit", f"{row['unit']} with {sorted(informants)[0]}", expected, hint)


def _times(place: Place, row: Mapping[str, Any]) -> Iterator[Query]:
    """Measured at two times is longitudinal, and a longitudinal row says when each side was measured."""
    times = (row["time_a"], row["time_b"])
    if row["design"] == "longitudinal" and not any(times) and math.isnan(row["lag"]):
        hint = "write when each side was measured, e.g. T1 and T2; sides of one wave are cross-sectional"
        yield Query.about(place, "time_a", "times", "longitudinal without times", "time_a and time_b, or lag", hint)
    elif row["design"] == "cross-sectional" and all(times) and times[0] != times[1]:
        hint = "are both sides of one wave? then give both the same time"
        yield Query.about(place, "design", "times", f"{times[0]} and {times[1]}", "longitudinal", hint)


def _clusters(place: Place, row: Mapping[str, Any], schools: Mapping[str, float]) -> Iterator[Query]:
    """Students of one class are alike, so that r is less certain than its n says."""
    groups = row["clusters"] if row["clusters"] > 0 else schools.get(row["sample_id"], math.nan)
    if groups > 1 and math.isnan(row["icc"]) and not row["n_effective"] > 0:
        hint = "write the intraclass correlation into icc, or n_effective; if neither is printed, answer it"
        expected = "an effective n, or an ICC to compute it from"
        yield Query.about(place, "n_effective", "clusters", f"n {row['n']:g} in {groups:g} clusters", expected, hint)


def _standard_error(place: Place, row: Mapping[str, Any]) -> Iterator[Query]:
    """1 / sqrt(n - 3) is the standard error of z; that of r is smaller by the factor 1 - r^2."""
    if row["statistic"] != "r" or not row["se"] > 0 or not row["n"] > 4 or abs(row["value"]) < 0.25:
        return
    of_z = math.sqrt(float(fisher_z_variance(row["n"])))
    of_r = math.sqrt(correlation_variance(row["value"], row["n"]))
    if abs(row["se"] - of_z) < 0.1 * (of_z - of_r):
        expected = f"about {of_r:.4f}, the standard error of r"
        hint = "is it the standard error of Fisher's z? then leave it out, n says the same"
        yield Query.about(place, "se", "se-of-z", f"{row['se']:g}", expected, hint)


def _flag(place: Place, row: Mapping[str, Any], dataset: Dataset) -> Iterator[Query]:
    """A pair of one side serves for dependence only, and its flag says so to whoever reads the table alone."""
    if row["var_a"] == row["var_b"]:  # a stability, which the names of the constructs say already
        return
    flag = dataset.vocabulary.pair_flag(row["var_a"], row["var_b"])
    if flag and flag not in {word.partition("=")[0] for word in row["flags"].split(";")}:
        hint = f"write {flag} into flags, or is one of the two constructs another?"
        yield Query.about(place, "flags", "pair-flag", row["flags"] or "an empty cell", flag, hint)


def _p_values(rows: Sequence[Mapping[str, Any]]) -> Iterator[Query]:
    """A p in place of r is small, above zero, and often has a decimal more than the correlations of its table."""
    printed: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows:
        printed[row["sample_id"]].append(_decimals(row["value_text"]))
    for row in rows:
        own, value = _decimals(row["value_text"]), row["value"]
        others = list(printed[row["sample_id"]])
        others.remove(own)
        finer = len(others) >= _FEWEST_PRINTED and own > max(others) and value < _P_AT_MOST
        if row["statistic"] == "r" and value > 0 and (finer or value <= _P_SMALLEST):
            place = Place(f"{row['work']}/effects.csv", row["line"], row["effect_id"])
            expected = "a correlation, not its p value"
            yield Query.about(place, "value", "p-as-value", row["value_text"], expected, "look r up beside its p")


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])


def _known(others: Columns) -> Mapping[Pair, tuple[float, float]]:
    """Mean and standard deviation of Fisher's z over the samples of other works, each sample once, by pair."""
    rows = others.where(s == "r" and abs(value) < 1 for s, value in others.rows("statistic", "value"))
    found: defaultdict[Pair, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    columns = rows.rows("unit", "var_a", "var_b", "sample_id")
    for (unit, a, b, sample), z in zip(columns, to_fisher_z(rows["value"]).tolist(), strict=True):
        found[unit, frozenset((a, b))][sample].append(z)
    # Each sample once: one with thirty rows would otherwise set the spread alone.
    means = {pair: [fmean(z) for z in samples.values()] for pair, samples in found.items()}
    return {pair: (fmean(z), stdev(z)) for pair, z in means.items() if len(z) >= _FEWEST}


def _prediction(place: Place, row: Mapping[str, Any], known: Mapping[Pair, tuple[float, float]]) -> Iterator[Query]:
    """A new r against what an r of a further study of its n would be, by the spread of those that are there."""
    pair = (row["unit"], frozenset((row["var_a"], row["var_b"])))
    if row["statistic"] != "r" or pair not in known or not abs(row["value"]) < 1 or not row["n"] > 3:
        return
    mean, sd = known[pair]
    reach = _FAR * math.sqrt(sd**2 + float(fisher_z_variance(row["n"])))
    if abs(float(to_fisher_z(row["value"])) - mean) > reach:
        low, high = float(back_to_r(mean - reach)), float(back_to_r(mean + reach))
        expected = f"a correlation from {low:.2f} to {high:.2f}, as other studies of {row['n']:g} would have"
        hint = "are two digits swapped, is a minus lost, or is it another pair? if the source says so, answer it"
        yield Query.about(place, "value", "prediction", row["value_text"], expected, hint)


def _swapped(rows: Sequence[Mapping[str, Any]]) -> Iterator[Query]:
    """A row whose measures stand at each other's construct, as the sample's other rows have them."""

    def pairs(row: Mapping[str, Any], first: str, second: str) -> tuple[tuple[str, str, str], ...]:
        return tuple((row["sample_id"], row[f"var_{a}"], row[f"measure_{b}"]) for a, b in (("a", first), ("b", second)))

    times = Counter(place for row in rows for place in pairs(row, "a", "b"))
    for row in rows:
        own, crossed = pairs(row, "a", "b"), pairs(row, "b", "a")
        # Two measures of one construct, or one measure of two, cannot be exchanged.
        named = row["measure_a"] and row["measure_b"] and set(own).isdisjoint(crossed)
        if named and all(times[place] == 1 for place in own) and all(times[place] for place in crossed):
            place = Place(f"{row['work']}/effects.csv", row["line"], row["effect_id"])
            found = f"{row['measure_a']} for {row['var_a']}, {row['measure_b']} for {row['var_b']}"
            hint = "were the two measures, or the two constructs, exchanged?"
            yield Query.about(place, "measure_a", "measures-swapped", shown(found), "the other way round", hint)


def _informants(rows: list[dict[str, Any]]) -> Iterator[Query]:
    """One measure of one sample has one informant, unless it was given to two of them."""
    first: dict[tuple[str, str, str], tuple[str, str]] = {}
    for row in rows:
        for side in ("a", "b"):
            measure, informant = row[f"measure_{side}"], row[f"informant_{side}"]
            if not measure or not informant:
                continue
            other, at = first.setdefault(
                (row["sample_id"], row[f"var_{side}"], measure), (informant, str(row["effect_id"]))
            )
            if other != informant:
                place = Place(f"{row['work']}/effects.csv", row["line"], row["effect_id"])
                expected = f"{other}, as in {at}"
                hint = "who answered this measure? if two did, answer it"
                yield Query.about(place, f"informant_{side}", "informants", informant, expected, hint, at)


def _constructs(rows: list[dict[str, Any]]) -> Iterator[Query]:
    """One measure stands for one construct: at another it was left standing from the row above."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for row in rows:
        for side in ("a", "b"):
            measure, construct = row[f"measure_{side}"], row[f"var_{side}"]
            if not measure:
                continue
            other, at = first.setdefault((row["sample_id"], measure), (construct, row["effect_id"]))
            if other != construct:
                place = Place(f"{row['work']}/effects.csv", row["line"], row["effect_id"])
                hint = "was it copied from another row? if one scale counts as both, answer it"
                expected = f"a measure of {construct}; it stands for {other} in {at}"
                yield Query.about(place, f"measure_{side}", "measure-construct", shown(measure), expected, hint, at)


def _years(dataset: Dataset, works: frozenset[str], coming: Collection[str]) -> Iterator[Query]:
    """A new sample of 2024 persons in a work of 2024: the year was probably typed into n."""
    samples = dataset.columns("samples.csv").of_works(works)
    for work, line, sample, n, since in samples.rows("work", "line", "sample_id", "n", "since"):
        reference = dataset.references.get(work)
        if since in coming and reference is not None and f"{n:g}" == reference.year:
            place = Place(f"{work}/samples.csv", line, sample)
            hint = "is it the year of the work? if there were just so many persons, answer it"
            yield Query.about(place, "n", "n-is-year", f"{n:g}", "the number of persons", hint)


def _tests(dataset: Dataset, rows: list[dict[str, Any]]) -> Iterator[Query]:
    """A test is taken, not reported: its informant is test or records."""
    measures = dataset.columns("measures.csv").rows("work", "variable", "measure", "form")
    tests = {(work, variable, measure) for work, variable, measure, form in measures if form == "test"}
    for row in rows:
        for side in ("a", "b"):
            informant = row[f"informant_{side}"]
            if (row["work"], row[f"var_{side}"], row[f"measure_{side}"]) in tests and informant not in _TESTED:
                place = Place(f"{row['work']}/effects.csv", row["line"], row["effect_id"])
                hint = "is it a test, or does somebody report it?"
                yield Query.about(place, f"informant_{side}", "test-informant", informant, "test or records", hint)


_TESTED = ("", "test", "records")
