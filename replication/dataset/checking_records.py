"""Checks of records against the rest of the dataset: works, recipes, explanations, corrections, statements, traps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import pandas as pd

from replication.dataset.problems import Problem, nearest, shown
from replication.dataset.recipes import Recipe
from replication.dataset.records import Explanation, Reference, Work
from replication.dataset.vocabulary import Vocabulary

__all__ = ["RECORD_LISTS", "check_explanations", "check_mentions", "check_recipes", "check_repeated", "check_works"]

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
        if references and folder not in references:
            hint = f"add an entry @article{{{folder}, …}} to {bib}"
            problems.append(Problem(file, 0, "key", "no-reference", shown(folder), f"a key of {bib}", hint))
    lost = [key for key in references if key not in folders]
    return problems + [
        Problem(bib, 0, key, "no-folder", shown(key), f"a folder {key}/ with a work.toml", "add it") for key in lost
    ]


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
