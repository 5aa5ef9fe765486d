"""Checks across cells, tables and records: what no single cell can show.

Rows against each other and against their sample; then works, recipes, explanations, corrections, statements and traps
against the rest of the dataset.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from replication.dataset.columns import Columns
from replication.dataset.conceptual_records import ConceptualRecord
from replication.dataset.problems import SHOWN, Problem, nearest, shown
from replication.dataset.recipes import Recipe
from replication.dataset.records import Explanation, Reference, Work
from replication.dataset.schema import Vocabulary
from replication.dataset.spreadsheets import ambiguous, readings
from replication.errors import UserError
from replication.printed import parse_printed

__all__ = [
    "RECORD_LISTS",
    "check_claims",
    "check_computed",
    "check_conceptual",
    "check_descriptives",
    "check_effects",
    "check_explanations",
    "check_mentions",
    "check_recipes",
    "check_repeated",
    "check_samples",
    "check_unique",
    "check_units",
    "check_works",
]

_BOUNDED = ("r", "partial_r")
# Statistics that cannot be negative; tau2 and SRMR among them, whatever an estimator may have printed.
_COUNTED = ("Q", "F", "chi2", "tau2", "RMSEA", "SRMR", "k", "n", "count", "sd", "AIC-weight")
_RANGES = {"r": (-1.0, 1.0), "I2": (0.0, 100.0), "R2": (-1.0, 100.0), **dict.fromkeys(_COUNTED, (0.0, math.inf))}
_WHOLE = ("n", "k", "count")  # statistics whose comma can only be one of thousands
_MANY = 500  # words beyond which looking for the nearest takes long enough to be done for fewer
_SIDES = ("var_a", "var_b", "measure_a", "measure_b", "informant_a", "informant_b", "time_a", "time_b")
_SIDE_A, _SIDE_B = itemgetter(*_SIDES[::2]), itemgetter(*_SIDES[1::2])
_CHECKED = (
    "effect_id",
    "sample_id",
    "statistic",
    "value",
    "value_text",
    "n",
    "n_effective",
    "n_effective_df",
    "ci_low",
    "ci_high",
    "p",
    "used_in",
    "until",
    "design",
    "lag",
    "clusters",
    "unit",
    "part_of",
    "covariates",
    *_SIDES,
)


def check_unique(frames: Iterable[tuple[str, Columns]], column: str) -> list[Problem]:
    """Ids that stand in more than one file: said of each, for whoever checks one of them alone."""
    seen: dict[str, tuple[str, int]] = {}
    problems = []
    for file, frame in frames:
        if column not in frame:
            continue
        for line, value in frame.rows("line", column):
            first, at = seen.setdefault(value, (file, line))
            if first != file:
                found, expected = shown(value), "an id used nowhere else"
                problems.append(Problem(file, line, column, "duplicate-id", found, expected, f"{first} has it"))
                # Said of both: somebody who checks the earlier work alone would not see the other file's message.
                problems.append(Problem(first, at, column, "duplicate-id", found, expected, f"{file} has it"))
    return problems


def check_samples(file: str, samples: Columns, known: set[str]) -> list[Problem]:
    """Samples refer to other samples that exist, and are no part of a part of themselves."""
    problems: list[Problem] = []
    hints = _Hints(known)
    wholes = dict(samples.rows("sample_id", "subgroup_of"))
    for row in samples.records("line", "sample_id", "subgroup_of", "overlaps", "shared_n", "n"):
        for column in ("subgroup_of", "overlaps"):
            found = shown(row[column])
            if row[column] and row[column] not in known:
                hint = hints.nearest(row[column])
                problems.append(Problem(file, row["line"], column, "unknown-sample", found, "a sample_id", hint))
            elif row[column] and row[column] == row["sample_id"]:
                problems.append(Problem(file, row["line"], column, "itself", found, "another sample", "leave it empty"))
        if not math.isnan(row["shared_n"]):
            problems += _shared_persons(file, row)
        if _in_circle(row["sample_id"], wholes):
            found, expected = shown(row["subgroup_of"]), "a whole that is no part of this sample"
            problems.append(Problem(file, row["line"], "subgroup_of", "circle", found, expected, "which is the whole?"))
    return problems


def _shared_persons(file: str, row: Mapping[str, Any]) -> list[Problem]:
    """Persons can be shared only with a named sample, and no more of them than there are."""
    found = f"{row['shared_n']:g}"
    if not row["overlaps"]:
        hint = "name the other sample in overlaps, or leave this cell empty"
        return [Problem(file, row["line"], "shared_n", "no-overlap", found, "a sample in overlaps", hint)]
    if row["shared_n"] > row["n"]:
        expected = f"at most the sample's n, {row['n']:g}"
        return [Problem(file, row["line"], "shared_n", "n", found, expected, "check both numbers")]
    return []


def _in_circle(sample: str, wholes: Mapping[str, str]) -> bool:
    """Whether wholes of wholes lead back to the sample, by way of others."""
    at, steps = wholes.get(sample, ""), 0
    # The count of steps ends a circle that the sample hangs on but is no part of.
    while at and at != sample and steps < len(wholes):
        at, steps = wholes.get(at, ""), steps + 1
    return at == sample and steps > 0


def check_units(file: str, samples: Columns) -> list[Problem]:
    """The samples of one work are of one unit: students and schools are different quantities."""
    units = Counter(samples["unit"])
    if len(units) < 2:
        return []
    # The most frequent unit is taken for the intended one: slips are few.
    usual = units.most_common(1)[0][0]
    hint = "units are never pooled; is it a slip? Rows of another unit belong to a work of their own"
    return [
        Problem(file, line, "unit", "mixed-units", shown(unit), f'"{usual}", as the other samples of this work', hint)
        for line, unit in samples.rows("line", "unit")
        if unit and unit != usual
    ]


def check_effects(
    file: str,
    effects: Columns,
    samples: Columns,
    measures: Columns | None,
    works: Collection[str],
    constructs: Collection[str],
) -> list[Problem]:
    """Effects against their samples, their measures, their own intervals and each other."""
    problems: list[Problem] = []
    sizes = dict(samples.rows("sample_id", "n"))
    # measures.csv is optional: without it any code is as good as another.
    codes = None if measures is None else _codes(measures, constructs)
    hints = _Hints((*sizes, *works))
    pairs: dict[tuple[str, ...], tuple[int, str]] = {}
    in_work = _WithinWork.of(effects, samples)
    for row in effects.records("line", *_CHECKED):
        problems += (*_effect_row(file, row, sizes, works, hints), *_impossible_p(file, row))
        problems += in_work.problems(file, row)
        if codes is not None:
            problems += _measure_codes(file, row, codes, hints)
        if row["until"]:
            continue  # its successor has the same pair
        sides = sorted((_SIDE_A(row), _SIDE_B(row)))
        # values of one pair at two units (students, school means), two lags, two points of time or adjusted for
        # different things are two results, not one twice
        pair = (
            row["sample_id"],
            row["unit"],
            str(row["lag"]),
            row["statistic"],
            row["covariates"],
            *sides[0],
            *sides[1],
        )
        line, first = pairs.setdefault(pair, (row["line"], row["effect_id"]))
        if first != row["effect_id"]:
            expected = "each pair of measures once in a sample"
            hint = f"row {line} has it already; tell them apart by measure, informant or time, or delete one"
            found = shown(row["effect_id"])
            problems.append(Problem(file, row["line"], "var_b", "duplicate-pair", found, expected, hint))
    return problems


def check_claims(file: str, work: str, claims: Columns) -> list[Problem]:
    """Claim ids begin with their work's key; every printed figure is one that can be."""
    problems = []
    for row in claims.records("line", "claim_id", "statistic", "printed", "ci_low", "ci_high", "se", "p", "k", "n"):
        if not row["claim_id"].startswith(f"{work}-"):
            found, expected = shown(row["claim_id"]), f"{work}-001, {work}-002, …"
            problems.append(
                Problem(file, row["line"], "claim_id", "claim-id", found, expected, "begin it with the key")
            )
        if row["statistic"] not in _WHOLE:
            problems += _two_readings(file, row, ("printed", "ci_low", "ci_high"))
        problems += _impossible_print(file, row)
    return problems


def _impossible_print(file: str, row: Mapping[str, Any]) -> Iterator[Problem]:
    """Printed figures that no study can have: out of their range, a broken count, an interval turned around."""
    value, low, high = (_printed(row[name]) for name in ("printed", "ci_low", "ci_high"))
    statistic, line = row["statistic"], row["line"]
    bounds = _RANGES.get(statistic, (-math.inf, math.inf))
    # Where r itself is out of range the ends go with it; one message is enough.
    ends = (("ci_low", low), ("ci_high", high)) if statistic == "r" and -1 <= value <= 1 else ()
    for column, figure in (("printed", value), *ends):
        if figure < bounds[0] or figure > bounds[1]:
            expected = f"{statistic} between {bounds[0]:g} and {bounds[1]:g}"
            hint = "is the decimal point in its place, or a minus too many?"
            yield Problem(file, line, column, "range", shown(row[column]), expected, hint)
    # 1,310 read as 1.31 persons would pass every other check.
    if statistic in _WHOLE and math.isfinite(value) and value != round(value):
        hint = "a count has no decimals: is it another statistic, or is the comma one of thousands?"
        yield Problem(file, line, "printed", "count", shown(row["printed"]), "a whole number", hint)
    yield from _impossible_p(file, row)
    if _printed(row["se"]) < 0:
        hint = "a standard error has no sign"
        yield Problem(file, line, "se", "range", shown(row["se"]), "a standard error above 0", hint)
    if low > high:
        found, expected = f"{row['ci_low']} and {row['ci_high']}", "the lower end first"
        yield Problem(file, line, "ci_low", "interval", found, expected, "are the ends swapped?")
    if row["k"] > row["n"]:
        found, expected = f"{row['n']:g} persons in {row['k']:g} studies", "no more studies than persons"
        yield Problem(file, line, "n", "n", found, expected, "are k and n swapped?")


def _impossible_p(file: str, row: Mapping[str, Any]) -> Iterator[Problem]:
    p = _printed(row["p"])
    if p < 0 or p > 1:
        hint = "is the decimal point missing, or a minus too many?"
        yield Problem(file, row["line"], "p", "range", shown(row["p"]), "a probability between 0 and 1", hint)


def _two_readings(file: str, row: Mapping[str, Any], columns: Iterable[str]) -> list[Problem]:
    """Printed numbers such as 1,310 that are one thing with a decimal comma and another in thousands."""
    found = []
    for column in columns:
        if ambiguous(row[column]):
            decimal, thousands = readings(row[column])
            hint = f"decimal comma or thousands? look it up and write {decimal} or {thousands}"
            expected = f"{decimal} or {thousands}, which no digit tells apart"
            found.append(Problem(file, row["line"], column, "decimal-comma", shown(row[column]), expected, hint))
    return found


def _printed(text: str) -> float:
    """A printed number's value; NaN where there is none, or none that can be read (said elsewhere)."""
    try:
        return parse_printed(text).value if text else math.nan
    except UserError:
        return math.nan


def check_descriptives(file: str, rows: Columns, samples: set[str]) -> list[Problem]:
    """Means belong to samples that exist, and lie on their scale's two ends."""
    problems = []
    hints = _Hints(samples)
    for row in rows.records("line", "sample_id", "mean", "sd", "scale_low", "scale_high"):
        problems += _two_readings(file, row, ("mean", "sd"))
        sample, low, high = row["sample_id"], row["scale_low"], row["scale_high"]
        if sample and sample not in samples:
            found, hint = shown(sample), hints.nearest(sample)
            problems.append(Problem(file, row["line"], "sample_id", "unknown-sample", found, "a sample_id", hint))
        # NaN compares as False: where one end is unknown there is nothing to say.
        if low >= high:
            found, expected = f"{low:g} and {high:g}", "the lowest score below the highest"
            problems.append(Problem(file, row["line"], "scale_low", "scale", found, expected, "are they swapped?"))
    return problems


class _Hints:
    """The nearest known word, looked up once a word and only for as many as are shown."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = tuple(known)
        self._found: dict[tuple[str, int], str] = {}
        # The time of one look-up grows with the words, so their number shrinks with it.
        self._most = SHOWN if len(self._known) < _MANY else SHOWN * _MANY // (10 * len(self._known))

    def nearest(self, word: str, known: tuple[str, ...] | None = None) -> str:
        """The hint for a word, among the words given or all there are; empty once enough have been looked up."""
        words = self._known if known is None else known
        # By identity: hashing thousands of words would cost as much as the search it saves.
        key = (word, id(words))
        if key not in self._found and len(self._found) < self._most:
            self._found[key] = nearest(word, words)
        return self._found.get(key, "")


def _effect_row(
    file: str, row: Mapping[str, Any], sizes: Mapping[str, float], works: Collection[str], hints: _Hints
) -> list[Problem]:
    problems = []

    def say(column: str, rule: str, found: object, expected: str, hint: str = "") -> None:
        problems.append(Problem(file, row["line"], column, rule, shown(found), expected, hint))

    sample, value, n = row["sample_id"], row["value"], row["n"]
    if sample and sample not in sizes:
        say("sample_id", "unknown-sample", sample, "a sample_id of samples.csv", hints.nearest(sample))
    elif sample and n > sizes[sample]:
        say("n", "n", f"{n:g}", f"at most the sample's n, {sizes[sample]:g}", "check both numbers")
    # At r = 1 and -1 Fisher's z is infinite, so the ends are no values to analyse.
    possible = row["statistic"] not in _BOUNDED or math.isnan(value) or -1 < value < 1
    if not possible:
        hint = "is the decimal point missing?" if abs(value) > 1 else "is it a measure with itself? Delete the row"
        say("value", "range", row["value_text"], "a correlation between -1 and 1, not its ends", hint)
    same = row["var_a"] == row["var_b"] and row["measure_a"] == row["measure_b"]
    # the same measure at two times is its stability, by two informants their agreement
    if row["var_a"] and same and row["time_a"] == row["time_b"] and row["informant_a"] == row["informant_b"]:
        say("var_b", "itself", row["var_b"], "another variable than var_a, or another measure of it", "is it a slip?")
    # a design with strata can be worth more than a simple sample; without its df the number is a slip
    if row["n_effective"] > n and math.isnan(row["n_effective_df"]):
        say("n_effective", "n", f"{row['n_effective']:g}", f"at most n, {n:g}")
    # A value that is impossible was said already; its interval would only repeat it.
    if possible and (row["ci_low"] > value or row["ci_high"] < value):
        ends = [f"{end:g}" for end in (row["ci_low"], row["ci_high"]) if not math.isnan(end)]
        hint = (
            "are the ends swapped?"
            if row["ci_low"] > row["ci_high"]
            else "which of the three is mistyped, or has lost its minus?"
        )
        say("ci_low", "interval", " to ".join(ends), f"an interval around {value:g}", hint)
    for key in filter(None, row["used_in"].split(";")):
        if key not in works:
            say("used_in", "unknown-work", key, "a work key", hints.nearest(key))
    return problems


@dataclass(frozen=True, slots=True)
class _WithinWork:
    """What a row can only be judged by beside the other rows and the samples of its work."""

    samples: Mapping[str, tuple[str, float]]
    sample_of: Mapping[str, str]
    wholes: Mapping[str, str]

    @classmethod
    def of(cls, effects: Columns, samples: Columns) -> _WithinWork:
        """Index the samples (unit and number of schools) and the rows (sample and whole) of one work."""
        return cls(
            dict(zip(samples["sample_id"], samples.rows("unit", "schools"), strict=True)),
            dict(effects.rows("effect_id", "sample_id")),
            dict(effects.rows("effect_id", "part_of")),
        )

    def problems(self, file: str, row: Mapping[str, Any]) -> list[Problem]:
        """A row's unit, clusters and lag against its sample and its design; its whole against the other rows."""
        problems = []

        def say(column: str, rule: str, found: str, expected: str, hint: str) -> None:
            problems.append(Problem(file, row["line"], column, rule, found, expected, hint))

        unit, schools = self.samples.get(row["sample_id"], ("", math.nan))
        # n of students beside unit = school is the usual slip, and it would weigh the row a hundred times.
        if row["unit"] == "school" and unit != "school" and row["n"] > schools:
            hint = "n of a school-level row counts schools"
            say("unit", "mixed-units", f"n {row['n']:g}", f"at most the sample's {schools:g} schools", hint)
        if row["clusters"] > row["n"]:
            say("clusters", "n", f"{row['clusters']:g}", f"at most n, {row['n']:g}", "check both numbers")
        if row["design"] == "cross-sectional" and not math.isnan(row["lag"]) and row["lag"] != 0:
            say("lag", "lag", f"{row['lag']:g} months", "no lag where the design is cross-sectional", "which is right?")
        if row["part_of"]:
            found = self._whole(row)
            if found:
                say("part_of", *found)
        return problems

    def _whole(self, row: Mapping[str, Any]) -> tuple[str, str, str, str] | None:
        whole, found = row["part_of"], shown(row["part_of"])
        if whole not in self.sample_of:
            return "unknown-row", found, "an effect_id of this file", nearest(whole, self.sample_of)
        if self.sample_of[whole] != row["sample_id"]:
            hint = "for a part of the persons of another sample use subgroup_of in samples.csv"
            return "other-sample", found, "a row of the same sample", hint
        if whole == row["effect_id"] or _in_circle(row["effect_id"], self.wholes):
            return "circle", found, "a whole that is no part of this row", "which is the whole?"
        return None


def _codes(measures: Columns, constructs: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The measures of each construct; one that is no construct is said elsewhere and has no entry."""
    known: dict[str, list[str]] = {name: [] for name in constructs}
    for variable, measure in measures.rows("variable", "measure"):
        # Constructs without any measure keep an empty list: "add it" is then the better hint.
        known.setdefault(variable, []).append(measure)
    return {name: tuple(codes) for name, codes in known.items()}


def _measure_codes(
    file: str, row: Mapping[str, Any], codes: Mapping[str, tuple[str, ...]], hints: _Hints
) -> list[Problem]:
    problems = []
    for side in ("a", "b"):
        variable, measure = row[f"var_{side}"], row[f"measure_{side}"]
        if measure and variable in codes and measure not in codes[variable]:
            expected = f"a measure of {variable} in measures.csv"
            hint = hints.nearest(measure, codes[variable]) if codes[variable] else "add it to measures.csv"
            problems.append(
                Problem(file, row["line"], f"measure_{side}", "unknown-measure", shown(measure), expected, hint)
            )
    return problems


_WORK_LISTS = ("kind", "role", "setting", "quantitative")
RECORD_LISTS = (*_WORK_LISTS, "correction_status", "confidence")
"""The lists of the vocabulary that records and the report need."""


def check_works(
    works: Mapping[str, Work],
    references: Mapping[str, Reference],
    vocabulary: Vocabulary,
    bib: str,
    folders: Collection[str],
) -> list[Problem]:
    """Folder, record and bibliography name the same works, in words of the vocabulary.

    `references` are empty where the bibliography cannot be read, which is said elsewhere.
    """
    problems = []
    for folder, work in works.items():
        file = f"{folder}/work.toml"
        if work.key != folder:
            problems.append(Problem(file, 0, "key", "key", shown(work.key), f'the folder\'s name, "{folder}"'))
        for name in _WORK_LISTS:
            known, value = vocabulary.words(name), str(getattr(work, name))
            if value not in known:
                hint = nearest(value, known)
                problems.append(Problem(file, 0, name, "word", shown(value), f"a word of [{name}]", hint))
        # An unreadable bibliography would otherwise accuse every work.
        if references and folder not in references:
            hint = f"add an entry @article{{{folder}, …}} to {bib}"
            problems.append(Problem(file, 0, "key", "no-reference", shown(folder), f"a key of {bib}", hint))
    lost = [key for key in references if key not in folders]
    return problems + [
        Problem(bib, 0, key, "no-folder", shown(key), f"a folder {key}/ with a work.toml", "add it") for key in lost
    ]


def check_computed(file: str, effects: Columns, recipes: Collection[Recipe]) -> list[Problem]:
    """Rows computed from a survey file have a recipe by which they can be computed again: said once a work."""
    rows = effects.rows("line", "reading", "until")
    computed = [line for line, reading, until in rows if reading == "computed" and not until]
    if recipes or not computed:
        return []
    found = f"{len(computed)} row{'s' if len(computed) > 1 else ''} with reading computed, this the first"
    hint = "write one (see data/references/timss*/recipes.toml), or say in reading where the numbers were read"
    return [Problem(file, computed[0], "reading", "no-recipe", found, "a recipe in recipes.toml", hint)]


def check_recipes(
    file: str, recipes: Iterable[Recipe], samples: set[str], measures: Columns | None, vocabulary: Vocabulary
) -> list[Problem]:
    """Recipes make samples and measures that exist."""
    codes = set() if measures is None else set(measures.rows("variable", "measure"))
    problems = []
    for recipe in recipes:
        made = [recipe.sample, *(part.sample for part in recipe.subsample)]
        # With `each` the samples' names hang on the values of a file that is not here.
        for sample in made if not recipe.each else ():
            if sample not in samples:
                found, hint = shown(sample), nearest(sample, samples)
                problems.append(Problem(file, 0, recipe.sample, "unknown-sample", found, "a sample_id", hint))
        for measure in recipe.measure:
            if measure.variable not in vocabulary.constructs:
                found, hint = shown(measure.variable), nearest(measure.variable, vocabulary.constructs)
                problems.append(Problem(file, 0, recipe.sample, "word", found, "a construct", hint))
            elif (measure.variable, measure.measure) not in codes:
                found = shown(f"{measure.variable} {measure.measure}")
                expected = "a row of measures.csv with this variable and measure"
                problems.append(Problem(file, 0, recipe.sample, "unknown-measure", found, expected, "add the row"))
            if measure.informant and measure.informant not in vocabulary.words("informant"):
                found, hint = shown(measure.informant), nearest(measure.informant, vocabulary.words("informant"))
                problems.append(Problem(file, 0, recipe.sample, "word", found, "an informant", hint))
    return problems


def check_conceptual(
    file: str, rows: Columns, records: Iterable[ConceptualRecord], directions: set[str]
) -> list[Problem]:
    """Stored results come from a record of their work, lie in their interval and name directions that exist."""
    known = [record.id for record in records]
    problems = []
    for row in rows.records():
        line, low, high = row["line"], row["ci_low"], row["ci_high"]
        if row["record"] not in known:
            found, hint = shown(row["record"]), nearest(row["record"], known)
            problems.append(Problem(file, line, "record", "unknown-record", found, "an id of conceptual.toml", hint))
        if not low <= row["estimate"] <= high:
            found = f"{row['estimate']:g} outside {low:g} to {high:g}"
            problems.append(Problem(file, line, "estimate", "interval", found, "a value in its interval", "compute it"))
        for name in filter(None, row["direction_ids"].split(";")):
            if name not in directions:
                found, hint = shown(name), nearest(name, directions)
                problems.append(
                    Problem(file, line, "direction_ids", "unknown-direction", found, "a direction_id", hint)
                )
    return problems


def check_explanations(file: str, explanations: Iterable[Explanation], claims: set[str]) -> list[Problem]:
    """Explanations name claims that exist."""
    return [
        Problem(file, 0, explanation.id, "unknown-claim", shown(claim), "a claim_id", nearest(claim, claims))
        for explanation in explanations
        for claim in explanation.claims
        if claim not in claims
    ]


def check_mentions(file: str, mentions: Iterable[tuple[str, Iterable[str]]], works: Collection[str]) -> list[Problem]:
    """Works named by records, as `(id, works)`, have a folder."""
    return [
        Problem(file, 0, name, "unknown-work", shown(work), "a work key", nearest(work, works))
        for name, mentioned in mentions
        for work in mentioned
        if work not in works
    ]


def check_repeated(file: str, ids: Iterable[str]) -> list[Problem]:
    """Ids of records that stand twice."""
    return [
        Problem(file, 0, name, "duplicate-id", f"{shown(name)} {times} times", "each id once", "give one another id")
        for name, times in Counter(ids).items()
        if times > 1
    ]
