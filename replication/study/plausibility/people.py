"""Plausibility of what samples say of their people: per cent values and ages."""

from __future__ import annotations

import math
from collections.abc import Iterator

from replication.dataset import Dataset
from replication.study.plausibility.suspicion import Place, Suspicion

__all__ = ["people_suspicions"]

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


def people_suspicions(dataset: Dataset, works: frozenset[str]) -> Iterator[Suspicion]:
    """Every question about the people of these works' samples."""
    samples = dataset.samples
    samples = samples[samples["work"].isin(works)]
    by_work = {key: _BY_SETTING.get(work.setting, "") for key, work in dataset.works.items()}
    for work, line, sample, unit, level, age, *shares in zip(*(samples[c].tolist() for c in _COLUMNS), strict=True):
        place = Place(f"{work}/samples.csv", line, sample)
        yield from _age(place, "teacher" if unit == "teacher" else level or by_work.get(work, ""), age)
        for column, share in zip(("female_pct", "ses"), shares, strict=True):
            if 0 < share <= 1:
                expected, hint = "per cent, 0 to 100", f"is it a share? then write {100 * share:g}"
                yield Suspicion.about(place, column, "share", f"{share:g}", expected, hint)


def _age(place: Place, group: str, age: float) -> Iterator[Suspicion]:
    low, high = _AGES.get(group, (-math.inf, math.inf))
    if age < low or age > high:
        expected = f"a mean age from {low:g} to {high:g} years ({group})"
        yield Suspicion.about(place, "age_mean", "age", f"{age:g}", expected, "is a digit or the school level wrong?")
