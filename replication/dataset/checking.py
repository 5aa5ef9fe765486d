"""Checks across cells, tables and records: what no single cell can show.

Rows against each other and against their sample; then works, recipes, explanations, corrections, statements and traps
against the rest of the dataset.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
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
_SIDE = ("var", "measure", "informant", "time")  # what tells one side of a correlation from another


def check_unique(frames: Iterable[tuple[str, Columns]], column: str) -> list[Problem]:
    """Ids that stand in more than one file: said of each, for whoever checks one of them alone."""
    named = [(file, frame) for file, frame in frames if column in frame]
    ids = [frame[column] for _, frame in named]
    if len(set().union(*ids)) == sum(map(len, ids)):
        return []  # the usual case, told without going through the rows
    seen: dict[str, tuple[str, int]] = {}
    problems = []
    for file, frame in named:
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
    """Effects against their samples, their measures, their own intervals and each other.

    Each rule goes down its own few columns: most rows break none, and a record of all cells would cost more than all
    rules together.
    """
    problems = [
        *_of_samples(file, effects, samples),
        *_values(file, effects),
        *_counts(file, effects),
        *_lags(file, effects),
        *_wholes(file, effects),
        *_used_in(file, effects, works),
        *_pairs(file, effects),
    ]
    for line, p in effects.rows("line", "p"):
        problems += _impossible_p(file, line, p) if p else ()
    # measures.csv is optional: without it any code is as good as another.
    if measures is not None:
        codes = _codes(measures, constructs)
        problems += _measure_codes(file, effects, "a", codes)
        problems += _measure_codes(file, effects, "b", codes)
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
    return problems + _one_key_twice(file, claims)


def _one_key_twice(file: str, claims: Columns) -> list[Problem]:
    """Two numbers of a work that count and have one key of quantity and subgroup: an analysis would get either."""
    first: dict[tuple[str, str], str] = {}
    problems = []
    for row in claims.records("line", "claim_id", "quantity_key", "subgroup_key", "until"):
        keys = (row["quantity_key"], row["subgroup_key"])
        # A corrected number keeps the key of the one it took the place of.
        if not keys[0] or row["until"]:
            continue
        other = first.setdefault(keys, row["claim_id"])
        if other != row["claim_id"]:
            found, expected = shown(keys[0]), "one number of a work by one key of quantity and subgroup"
            hint = f"{other} has it; another subgroup_key tells them apart"
            problems.append(Problem(file, row["line"], "quantity_key", "one-key-twice", found, expected, hint))
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
    yield from _impossible_p(file, line, row["p"])
    if _printed(row["se"]) < 0:
        hint = "a standard error has no sign"
        yield Problem(file, line, "se", "range", shown(row["se"]), "a standard error above 0", hint)
    if low > high:
        found, expected = f"{row['ci_low']} and {row['ci_high']}", "the lower end first"
        yield Problem(file, line, "ci_low", "interval", found, expected, "are the ends swapped?")
    if row["k"] > row["n"]:
        found, expected = f"{row['n']:g} persons in {row['k']:g} studies", "no more studies than persons"
        yield Problem(file, line, "n", "n", found, expected, "are k and n swapped?")


def _impossible_p(file: str, line: int, p: str) -> Iterator[Problem]:
    if not 0 <= _printed(p) <= 1 and not math.isnan(_printed(p)):
        hint = "is the decimal point missing, or a minus too many?"
        yield Problem(file, line, "p", "range", shown(p), "a probability between 0 and 1", hint)


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
        self._known = known
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


def _of_samples(file: str, effects: Columns, samples: Columns) -> Iterator[Problem]:
    """Rows of samples that are there, with no more persons or schools than these have."""
    sizes = dict(samples.rows("sample_id", "n"))
    hints = _Hints(sizes)
    for line, sample, n in effects.rows("line", "sample_id", "n"):
        if sample not in sizes:
            if sample:
                hint = hints.nearest(sample) if any(sizes) else "add it to samples.csv"
                expected = "a sample_id of samples.csv"
                yield Problem(file, line, "sample_id", "unknown-sample", shown(sample), expected, hint)
        elif n > sizes[sample]:
            expected = f"at most the sample's n, {sizes[sample]:g}"
            yield Problem(file, line, "n", "n", shown(f"{n:g}"), expected, "check both numbers")
    units = dict(zip(samples["sample_id"], samples.rows("unit", "schools"), strict=True))
    for line, sample, own, n in effects.rows("line", "sample_id", "unit", "n"):
        if own != "school":
            continue
        unit, schools = units.get(sample, ("", math.nan))
        # n of students beside unit = school is the usual slip, and it would weigh the row a hundred times.
        if unit != "school" and n > schools:
            expected, hint = f"at most the sample's {schools:g} schools", "n of a school-level row counts schools"
            yield Problem(file, line, "unit", "mixed-units", f"n {n:g}", expected, hint)


def _values(file: str, effects: Columns) -> Iterator[Problem]:
    """Correlations between -1 and 1, and values in their intervals."""
    for line, statistic, value, text, low, high in effects.rows(
        "line", "statistic", "value", "value_text", "ci_low", "ci_high"
    ):
        # At r = 1 and -1 Fisher's z is infinite, so the ends are no values to analyse.
        if statistic in _BOUNDED and abs(value) >= 1:
            hint = "is the decimal point missing?" if abs(value) > 1 else "is it a measure with itself? Delete the row"
            yield Problem(
                file, line, "value", "range", shown(text), "a correlation between -1 and 1, not its ends", hint
            )
        # A value that is impossible was said already; its interval would only repeat it.
        elif low > value or high < value:
            found = shown(" to ".join(f"{end:g}" for end in (low, high) if not math.isnan(end)))
            hint = "are the ends swapped?" if low > high else "which of the three is mistyped, or has lost its minus?"
            yield Problem(file, line, "ci_low", "interval", found, f"an interval around {value:g}", hint)


def _counts(file: str, effects: Columns) -> Iterator[Problem]:
    """No more persons' worth and no more clusters than persons."""
    for line, n, effective, df, clusters in effects.rows("line", "n", "n_effective", "n_effective_df", "clusters"):
        # a design with strata can be worth more than a simple sample; without its df the number is a slip
        if effective > n and math.isnan(df):
            yield Problem(file, line, "n_effective", "n", shown(f"{effective:g}"), f"at most n, {n:g}")
        if clusters > n:
            yield Problem(file, line, "clusters", "n", f"{clusters:g}", f"at most n, {n:g}", "check both numbers")


def _lags(file: str, effects: Columns) -> Iterator[Problem]:
    """Nothing passes between two sides of one wave."""
    for line, design, lag in effects.rows("line", "design", "lag"):
        if abs(lag) > 0 and design == "cross-sectional":
            expected = "no lag where the design is cross-sectional"
            yield Problem(file, line, "lag", "lag", f"{lag:g} months", expected, "which is right?")


def _wholes(file: str, effects: Columns) -> Iterator[Problem]:
    """Rows that are parts of others name a row of the same sample, and lead round in no circle."""
    if not any(effects["part_of"]):
        return
    sample_of, wholes = dict(effects.rows("effect_id", "sample_id")), dict(effects.rows("effect_id", "part_of"))
    hints = _Hints(sample_of)
    for line, row, sample, whole in effects.rows("line", "effect_id", "sample_id", "part_of"):
        if not whole:
            continue
        if whole not in sample_of:
            said = "unknown-row", shown(whole), "an effect_id of this file", hints.nearest(whole)
        elif sample_of[whole] != sample:
            hint = "for a part of the persons of another sample use subgroup_of in samples.csv"
            said = "other-sample", shown(whole), "a row of the same sample", hint
        elif whole == row or _in_circle(row, wholes):
            said = "circle", shown(whole), "a whole that is no part of this row", "which is the whole?"
        else:
            continue
        yield Problem(file, line, "part_of", *said)


def _used_in(file: str, effects: Columns, works: Collection[str]) -> Iterator[Problem]:
    hints = _Hints(works)
    for line, used in effects.rows("line", "used_in"):
        for key in filter(None, used.split(";")) if used else ():
            if key not in works:
                yield Problem(file, line, "used_in", "unknown-work", shown(key), "a work key", hints.nearest(key))


def _pairs(file: str, effects: Columns) -> Iterator[Problem]:
    """Each pair of measures once in a sample, and no measure with itself."""
    lefts, rights = (list(effects.rows(*(f"{name}_{side}" for name in _SIDE))) for side in "ab")
    for line, left, right in zip(effects["line"], lefts, rights, strict=True):
        # the same measure at two times is its stability, by two informants their agreement
        if left == right and left[0]:
            expected = "another variable than var_a, or another measure of it"
            yield Problem(file, line, "var_b", "itself", shown(right[0]), expected, "is it a slip?")
    # values of one pair at two units (students, school means), two lags, two points of time or adjusted for
    # different things are two results, not one twice
    lags = ["" if math.isnan(lag) else lag for lag in effects["lag"]]
    both = [(a, b) if a < b else (b, a) for a, b in zip(lefts, rights, strict=True)]
    keys = zip(
        effects["sample_id"], effects["unit"], lags, effects["statistic"], effects["covariates"], both, strict=True
    )
    first: dict[tuple[object, ...], tuple[int, str]] = {}
    for key, line, row, until in zip(keys, *(effects[name] for name in ("line", "effect_id", "until")), strict=True):
        if until:
            continue  # its successor has the same pair
        at, other = first.setdefault(key, (line, row))
        if other != row:
            expected = "each pair of measures once in a sample"
            hint = f"row {at} has it already; tell them apart by measure, informant or time, or delete one"
            yield Problem(file, line, "var_b", "duplicate-pair", shown(row), expected, hint)


def _codes(measures: Columns, constructs: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The measures of each construct; one that is no construct is said elsewhere and has no entry."""
    known: dict[str, list[str]] = {name: [] for name in constructs}
    for variable, measure in measures.rows("variable", "measure"):
        # Constructs without any measure keep an empty list: "add it" is then the better hint.
        known.setdefault(variable, []).append(measure)
    return {name: tuple(codes) for name, codes in known.items()}


def _measure_codes(file: str, effects: Columns, side: str, codes: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    """The measures of one side are codes of their construct."""
    pairs = list(effects.rows(f"var_{side}", f"measure_{side}"))
    # A table has a handful of measures: each is looked up once.
    unknown = {pair for pair in set(pairs) if pair[1] and pair[0] in codes and pair[1] not in codes[pair[0]]}
    hints = _Hints(())
    for line, (variable, measure) in zip(effects["line"], pairs, strict=True) if unknown else ():
        if (variable, measure) in unknown:
            expected = f"a measure of {variable} in measures.csv"
            hint = hints.nearest(measure, codes[variable]) if codes[variable] else "add it to measures.csv"
            yield Problem(file, line, f"measure_{side}", "unknown-measure", shown(measure), expected, hint)


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
