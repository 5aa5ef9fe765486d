"""Checks across cells, tables and folders: what no single cell can show."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pandas as pd

from replication.dataset.problems import SHOWN, Problem, nearest, shown
from replication.dataset.recipes import Recipe
from replication.dataset.records import Explanation, Reference, Work
from replication.dataset.vocabulary import Vocabulary

__all__ = [
    "check_claims",
    "check_descriptives",
    "check_effects",
    "check_explanations",
    "check_recipes",
    "check_samples",
    "check_unique",
    "check_works",
]

_BOUNDED = ("r", "partial_r")
_SIDES = ("var_a", "var_b", "measure_a", "measure_b", "informant_a", "informant_b")
_CHECKED = (
    "effect_id",
    "sample_id",
    "statistic",
    "value",
    "value_text",
    "n",
    "n_effective",
    "ci_low",
    "ci_high",
    "used_in",
    "until",
    *_SIDES,
)


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
        for name in ("kind", "role", "setting", "quantitative"):
            known, value = vocabulary.words(name), str(getattr(work, name))
            if value not in known:
                hint = nearest(value, known)
                problems.append(Problem(file, 0, name, "word", shown(value), f"a word of [{name}]", hint))
        if references and folder not in references:
            hint = f"add an entry @article{{{folder}, …}} to {bib}"
            problems.append(Problem(file, 0, "key", "no-reference", shown(folder), f"a key of {bib}", hint))
    lost = [key for key in references if key not in folders]
    return problems + [
        Problem(bib, 0, key, "no-folder", shown(key), f"a folder {key}/ with a work.toml", "add it") for key in lost
    ]


def check_unique(frames: Iterable[tuple[str, pd.DataFrame]], column: str) -> list[Problem]:
    """Ids that stand in more than one file."""
    seen: dict[str, str] = {}
    problems = []
    for file, frame in frames:
        if column not in frame:
            continue
        for line, value in zip(frame["line"], frame[column], strict=True):
            if value in seen and seen[value] != file:
                expected = "an id used nowhere else"
                problems.append(
                    Problem(file, int(line), column, "duplicate-id", shown(value), expected, f"{seen[value]} has it")
                )
            seen.setdefault(value, file)
    return problems


def check_samples(file: str, samples: pd.DataFrame, known: set[str]) -> list[Problem]:
    """Samples refer to samples that exist."""
    problems: list[Problem] = []
    for row in _rows(samples, "subgroup_of", "overlaps"):
        for column in ("subgroup_of", "overlaps"):
            if row[column] and row[column] not in known:
                found, hint = shown(row[column]), nearest(row[column], known)
                problems.append(Problem(file, row["line"], column, "unknown-sample", found, "a sample_id", hint))
    return problems


def check_effects(
    file: str, effects: pd.DataFrame, samples: pd.DataFrame, measures: pd.DataFrame | None, works: Collection[str]
) -> list[Problem]:
    """Effects against their samples, their measures, their own intervals and each other."""
    problems: list[Problem] = []
    sizes = dict(zip(samples["sample_id"], samples["n"], strict=True))
    codes = None if measures is None else set(zip(measures["variable"], measures["measure"], strict=True))
    hints = _Hints(tuple(sizes))
    pairs: dict[tuple[str, ...], tuple[int, str]] = {}
    for row in _rows(effects, *_CHECKED):
        problems += _effect_row(file, row, sizes, works, hints)
        if codes is not None:
            problems += _measure_codes(file, row, codes)
        if row["until"]:
            continue  # its successor has the same pair
        sides = sorted((row[f"var_{s}"], row[f"measure_{s}"], row[f"informant_{s}"]) for s in "ab")
        pair = (row["sample_id"], row["statistic"], *sides[0], *sides[1])
        line, first = pairs.setdefault(pair, (row["line"], row["effect_id"]))
        if first != row["effect_id"]:
            expected = "each pair of measures once in a sample"
            hint = f"row {line} has it already; tell them apart by measure or informant, or delete one"
            found = shown(row["effect_id"])
            problems.append(Problem(file, row["line"], "var_b", "duplicate-pair", found, expected, hint))
    return problems


def check_claims(file: str, work: str, claims: pd.DataFrame) -> list[Problem]:
    """Claim ids begin with their work's key."""
    wrong = claims[~claims["claim_id"].str.startswith(f"{work}-")]
    return [
        Problem(file, line, "claim_id", "claim-id", shown(claim), f"{work}-001, {work}-002, …")
        for line, claim in zip(wrong["line"], wrong["claim_id"], strict=True)
    ]


def check_descriptives(file: str, rows: pd.DataFrame, samples: set[str]) -> list[Problem]:
    """Means belong to samples that exist, and lie on their scale's two ends."""
    problems = []
    for row in _rows(rows, "sample_id", "scale_low", "scale_high"):
        sample, low, high = row["sample_id"], row["scale_low"], row["scale_high"]
        if sample and sample not in samples:
            found, hint = shown(sample), nearest(sample, samples)
            problems.append(Problem(file, row["line"], "sample_id", "unknown-sample", found, "a sample_id", hint))
        if low >= high:
            found, expected = f"{low:g} and {high:g}", "the lowest score below the highest"
            problems.append(Problem(file, row["line"], "scale_low", "scale", found, expected, "are they swapped?"))
    return problems


def check_recipes(
    file: str, recipes: Iterable[Recipe], samples: set[str], measures: pd.DataFrame | None, vocabulary: Vocabulary
) -> list[Problem]:
    """Recipes make samples and measures that exist."""
    codes = set() if measures is None else set(zip(measures["variable"], measures["measure"], strict=True))
    problems = []
    for recipe in recipes:
        made = [recipe.sample, *(part.sample for part in recipe.subsample)]
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


def check_explanations(file: str, explanations: Iterable[Explanation], claims: set[str]) -> list[Problem]:
    """Explanations name claims that exist."""
    return [
        Problem(file, 0, explanation.id, "unknown-claim", shown(claim), "a claim_id", nearest(claim, claims))
        for explanation in explanations
        for claim in explanation.claims
        if claim not in claims
    ]


class _Hints:
    """The nearest known word, looked up once a word and only for as many as are shown."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known
        self._found: dict[str, str] = {}

    def nearest(self, word: str) -> str:
        if word not in self._found and len(self._found) < SHOWN:
            self._found[word] = nearest(word, self._known)
        return self._found.get(word, "")


def _rows(frame: pd.DataFrame, *columns: str) -> list[dict[str, Any]]:
    names = ["line", *columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*(frame[name].tolist() for name in names), strict=True)]


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
    if row["statistic"] in _BOUNDED and not math.isnan(value) and not -1 <= value <= 1:
        say("value", "range", row["value_text"], "a correlation between -1 and 1", "is the decimal point missing?")
    if row["n_effective"] > n:
        say("n_effective", "n", f"{row['n_effective']:g}", f"at most n, {n:g}")
    if row["ci_low"] > value or row["ci_high"] < value:
        interval = f"{row['ci_low']:g} to {row['ci_high']:g}"
        say("ci_low", "interval", interval, f"an interval around {value:g}", "are the ends swapped?")
    for key in filter(None, row["used_in"].split(";")):
        if key not in works:
            say("used_in", "unknown-work", key, "a work key", nearest(key, works))
    return problems


def _measure_codes(file: str, row: Mapping[str, Any], codes: set[tuple[str, str]]) -> list[Problem]:
    problems = []
    for side in ("a", "b"):
        variable, measure = row[f"var_{side}"], row[f"measure_{side}"]
        if measure and (variable, measure) not in codes:
            known = [code for name, code in codes if name == variable]
            expected = f"a measure of {variable} in measures.csv"
            hint = nearest(measure, known) if known else "add it to measures.csv"
            problems.append(
                Problem(file, row["line"], f"measure_{side}", "unknown-measure", shown(measure), expected, hint)
            )
    return problems
