"""Does the main model predict samples it has not seen? Each sample, and each country, left out in turn.

What is predicted is the mean of a left-out sample's rows, with the sampling covariance those rows have; what is scored
is its place in the prediction (0 to 1, uniform if the model is right). A sample is left out with all that overlaps it,
so nothing is predicted from itself. Coverage is given with exact binomial intervals: a few dozen samples cannot
establish that 95 % intervals hold 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from replication.analysis.outcome import Label, Table, Text, of, refs
from replication.dataset import Dataset
from replication.effects.correlation import back_to_r
from replication.evidence.main_model import Estimated
from replication.evidence.question import Evidence, overlaps
from replication.models.bayes.exact.nested import NestedPosterior
from replication.models.multilevel.structure import BlockV

__all__ = [
    "LEVELS",
    "Coverage",
    "Predicted",
    "binomial_interval",
    "coverage",
    "left_out_by",
    "predict_body",
    "prediction_tables",
]

LEVELS = (0.50, 0.80, 0.95)
MOST_PREDICTED = 120
"""Samples that are predicted, each from a posterior of its own: enough for a coverage within nine points."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """One sample's mean beside its prediction: `value` in r, the central 95 % prediction, and its `place` in it."""

    sample: str
    label: str
    country: str
    value: float
    low: float
    high: float
    place: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of `total` samples lie in the central `level` of their prediction, with an exact 95 % interval."""

    level: float
    inside: int
    total: int
    low: float
    high: float


def left_out_by(data: Dataset, answer: Estimated, unit: str) -> tuple[Predicted, ...]:
    """Every sample predicted from the others: `unit` "sample" leaves out it and its overlaps, "country" its country.

    Samples of unknown country are countries of their own. Nothing is predicted where nothing would be left. Of
    very many samples `MOST_PREDICTED` are.
    """
    found = answer.found
    names = list(dict.fromkeys(found.samples.tolist()))
    if len(names) < 3:
        return ()
    predicted = _spread_evenly(names)
    groups = {name: _with_it(data, found, name, unit) for name in predicted}
    # Samples of one country share a group: each posterior is computed once.
    distinct = list(dict.fromkeys(groups.values()))
    # From a single sample the variance between samples would be the prior's.
    usable = [group for group in distinct if len(set(names) - group) >= 2]
    posteriors = dict(zip(usable, answer.posterior.without(usable), strict=True))
    errors, named = found.covariance(), _named(found)
    return tuple(
        _predicted(posteriors[groups[name]], found, errors, name, *named[name])
        for name in predicted
        if groups[name] in posteriors
    )


def predict_body(answer: Estimated, others: Evidence) -> tuple[Predicted, ...]:
    """The samples of another body predicted from this one, which never saw them; `MOST_PREDICTED` of very many."""
    errors, named = others.covariance(), _named(others)
    return tuple(
        _predicted(answer.posterior, others, errors, name, *named[name]) for name in _spread_evenly(list(named))
    )


def _named(found: Evidence) -> dict[str, tuple[str, str]]:
    """Label and country of each sample, in order of appearance."""
    named: dict[str, tuple[str, str]] = {}
    for sample, label, country in found.cells("sample_id", "label", "country"):
        named.setdefault(sample, (str(label or sample), str(country or "")))
    return named


def _spread_evenly(names: list[str]) -> list[str]:
    """All samples, or `MOST_PREDICTED` at equal distances in the order of the dataset."""
    if len(names) <= MOST_PREDICTED:
        return names
    # By place and not by chance or size: the same samples every time, large and small, old and new.
    return [names[int(at)] for at in np.linspace(0, len(names) - 1, MOST_PREDICTED).round()]


def _with_it(data: Dataset, found: Evidence, sample: str, unit: str) -> frozenset[str]:
    names = set(found.samples.tolist())
    if unit == "country":
        place = found.places[found.samples == sample][0]
        return frozenset(found.samples[found.places == place].tolist())
    tied = {a if b == sample else b for a, b, _ in overlaps(data) if sample in (a, b)}
    return frozenset({sample, *tied} & names)


def _predicted(
    posterior: NestedPosterior, found: Evidence, errors: BlockV, sample: str, label: str, country: str
) -> Predicted:
    """The mean of a sample's rows against the prediction for it: between + country, within / m, and sampling error.

    `errors` is the covariance of the sampling errors of all rows.
    """
    rows = np.flatnonzero(found.samples == sample)
    m = len(rows)
    # The rows' errors covary, so the variance of their mean is the sum of all cells over m^2.
    sampling = float(errors.take(rows).dense().sum()) / m**2
    prediction = posterior.further_mean(m, sampling)
    y = float(found.y[rows].mean())
    low, high = back_to_r(prediction.ppf([0.025, 0.975])).tolist()
    place = float(prediction.cdf(y))
    return Predicted(sample, label, country, float(back_to_r(y)), low, high, place)


def coverage(predicted: Sequence[Predicted]) -> tuple[Coverage, ...]:
    """Coverage at 50, 80 and 95 % with exact binomial intervals."""
    places = np.array([p.place for p in predicted])
    found = []
    for level in LEVELS:
        inside = int((np.abs(places - 0.5) <= level / 2.0).sum())
        found.append(Coverage(level, inside, len(places), *binomial_interval(inside, len(places))))
    return tuple(found)


def binomial_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share by Clopper and Pearson (1934).

    >>> [round(x, 4) for x in binomial_interval(10, 10)]
    [0.6915, 1.0]
    """
    tail = (1.0 - level) / 2.0
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(special.betaincinv(successes + 1, trials - successes, 1.0 - tail))
    return low, high


def prediction_tables(
    key: str, label: Text, checks: Sequence[tuple[str, tuple[Predicted, ...]]], samples: int = 0
) -> tuple[Table, ...]:
    """Coverage of every check, and the samples of each with their predictions, the farthest first.

    `samples` is how many there are, for who cannot see that only some were predicted.
    """
    rows = tuple(
        (name, c.level, c.inside, c.total, c.inside / c.total, c.low, c.high)
        for name, predicted in checks
        if predicted
        for c in coverage(predicted)
    )
    columns = ("what_is_left_out", "level", "inside", "samples", "share_inside", "low", "high")
    some = samples > MOST_PREDICTED
    note = Label("coverage_of_some_note", {"most": MOST_PREDICTED, "n": samples}) if some else "coverage_note"
    tables = [
        Table(id=f"prediction-coverage-{key}", title=of(label, "does_it_predict"),
              columns=columns, rows=rows, note=note)
    ]  # fmt: skip
    for at, (name, predicted) in enumerate(checks):
        ordered = sorted(predicted, key=lambda p: -abs(p.place - 0.5))
        tables += [
            Table(
                id=f"prediction-{at}-{key}",
                title=of(label, name),
                columns=("sample", "country", "mean_r", "predicted_low", "predicted_high", "place"),
                rows=tuple((p.label, p.country, p.value, p.low, p.high, p.place) for p in ordered),
                links=refs("row", (p.sample for p in ordered)),
            )
        ] * bool(ordered)
    return tuple(tables)
