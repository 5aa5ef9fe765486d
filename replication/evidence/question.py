"""Which rows bear on a question, oriented so that their sign means one thing, and which of them depend on each other.

Called by everything that pools. Three ideas:

1. Where several constructs are asked for together, rows of those with negative valence are turned: the value is then
   that of the good side. The protocol decides which rows count; every other candidate is listed with its reason.
2. Persons are counted once. A sample most of whose persons are in another one is that sample; samples that share
   fewer persons keep their own effects, and their sampling errors covary.
3. A country that is not recorded is not a country: such a sample is a group of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from replication.dataset import Dataset, Exclusion, Selection, kept_with
from replication.effects.conversions import beta_to_r
from replication.effects.covariance import variance_of_sum
from replication.evidence.pooling import effect_sizes
from replication.evidence.protocol import Protocol, Screened, described, load_protocol, rows_on, screen, with_text
from replication.labels import Label
from replication.models.fit import Array
from replication.models.multilevel.groups import rows_by_group
from replication.models.multilevel.structure import BlockV

__all__ = [
    "RHO",
    "Evidence",
    "Persons",
    "Question",
    "Source",
    "each_person_once",
    "evidence",
    "mean_effects",
    "overlaps",
    "rows_by_sample",
    "sample_means",
    "screened_rows",
]

Source = Literal["published", "open", "pool"]
FROM_AFAR = ("abstract", "second-hand note", "title page")  # not read in the work itself

RHO = 0.6
"""Assumed correlation of the sampling errors of rows from the same persons: 0.6, the value of the robust variance
literature (Tanner-Smith & Tipton 2014); 0.4 and 0.8 stand beside every result."""

UNKNOWN = "sample "
"""How the place of a sample of unknown country begins; no country does."""
SAME_PERSONS = 0.5
"""From this share of the smaller sample's persons on, two samples count as one. Shared persons share the true effect,
so a covariance of errors would not do; half is where more persons are common than not."""


@dataclass(frozen=True, slots=True)
class Question:
    """An association asked about: constructs of its first side, the outcome, and a label.

    `relationships` are the constructs of the first side. Several of them (`quality`) are taken together: those whose
    valence in the vocabulary is -1 are turned.
    """

    id: str
    label: str
    relationships: tuple[str, ...]
    outcome: str

    @property
    def quality(self) -> bool:
        """Whether several constructs are taken together, those of negative valence turned."""
        return len(self.relationships) > 1


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Rows of one body for a question: oriented Fisher z `y (k,)`, variances `v (k,)` and the sample of each row.

    `rows` has the columns of `protocol.described` and `relationship`, `form_rel`, `form_out`, `facet`, `sign`, and
    `place`: the country, or a name of its own for a sample whose country is unknown. `shared` are pairs of samples
    with the share of persons they have in common, as a correlation of errors. `samples` and `places (k,)` are those of
    the rows.
    """

    question: Question
    source: Source
    selection: Selection
    rows: pd.DataFrame
    y: Array
    v: Array
    shared: tuple[tuple[str, str, float], ...] = ()
    samples: Array = field(init=False, repr=False)
    places: Array = field(init=False, repr=False)
    kept: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        # A page asks for these a thousand times, and each time text would be copied out of the frame.
        places = self.rows["place"].tolist() if "place" in self.rows else _places(self.rows)
        object.__setattr__(self, "samples", self.rows["sample_id"].to_numpy())
        object.__setattr__(self, "places", np.array(places, dtype=object))

    @property
    def countries(self) -> tuple[str, ...]:
        """The countries that are known, in order of appearance."""
        return tuple(dict.fromkeys(country for country in _countries(self.rows) if country))

    @property
    def unknown_countries(self) -> int:
        """How many samples have no known country."""
        countries = _countries(self.rows)
        return len({sample for sample, country in zip(self.samples, countries, strict=True) if not country})

    @property
    def persons(self) -> float:
        """Persons behind all rows, each sample with the largest n of its rows."""
        largest: dict[object, float] = {}
        for sample, n in zip(self.samples.tolist(), self.rows["n"].tolist(), strict=True):
            if n > largest.get(sample, 0.0):  # no empty cell is
                largest[sample] = n
        return float(sum(largest.values()))

    def cells(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """The cells of some columns of the rows, row by row; a row of a frame takes a hundred times as long."""
        return zip(*(self.rows[name].tolist() for name in names), strict=True)

    def covariance(self, rho: float = RHO) -> BlockV:
        """The working covariance of the sampling errors: `rho` within a sample, what is shared between samples."""
        if not self.shared:
            return BlockV.constant_correlation(self.v, self.samples, rho)
        pairs = self.rows["relationship"] + "|" + self.rows["measure_key_a"] + "|" + self.rows["measure_key_b"]
        pair = pairs.to_numpy(dtype=object)
        # Block by block: a matrix of all rows of a question would be gigabytes with ten thousand of them.
        members = rows_by_group(self._sharing())
        return BlockV.from_blocks([self._block(rows, pair[rows], rho) for rows in members], members)

    def _sharing(self) -> NDArray[np.intp]:
        """One number `(k,)` for rows of one sample or of samples that share persons, directly or through others."""
        number = {sample: n for n, sample in enumerate(dict.fromkeys(self.samples.tolist()))}
        held = [(number[a], number[b]) for a, b, _ in self.shared if a in number and b in number]
        ends = tuple(np.array(held, dtype=np.intp).reshape(-1, 2).T)
        graph = sparse.coo_array((np.ones(len(held)), ends), shape=(len(number), len(number)))
        groups = sparse.csgraph.connected_components(graph, directed=False)[1]
        return np.asarray(groups[[number[sample] for sample in self.samples.tolist()]], dtype=np.intp)

    def _block(self, rows: NDArray[np.intp], pair: NDArray[np.object_], rho: float) -> Array:
        """The working covariance among some rows, which are of these pairs of measures."""
        samples, se = self.samples[rows], np.sqrt(self.v[rows])
        here = set(samples.tolist())
        correlation = np.where(samples[:, None] == samples[None, :], rho, 0.0)
        same = np.equal.outer(pair, pair).astype(bool)
        for first, second, share in self.shared if len(here) > 1 else ():
            between = np.logical_and.outer(samples == first, samples == second)
            between |= between.T
            # the same pair of measures on the shared persons: n_shared / sqrt(n1 n2); another pair: times rho, the
            # working value that stands for Olkin and Siotani's where their six correlations are not all held
            correlation = np.where(between, share * np.where(same, 1.0, rho), correlation)
        # Shares and rho are about two rows; a row is perfectly correlated with itself.
        np.fill_diagonal(correlation, 1.0)
        return np.asarray(correlation * np.outer(se, se))

    def take(self, mask: NDArray[np.bool_]) -> Evidence:
        """The same for some rows only."""
        if mask.all():
            return self
        rows = self.rows[mask].reset_index(drop=True)
        kept = Selection(rows, self.selection.excluded)
        here = set(rows["sample_id"])
        shared = tuple(pair for pair in self.shared if pair[0] in here and pair[1] in here)
        return Evidence(self.question, self.source, kept, rows, self.y[mask], self.v[mask], shared)


def evidence(
    data: Dataset,
    question: Question,
    source: Source,
    protocol: Protocol | None = None,
    *,
    without: str = "",
) -> Evidence:
    """The rows of one body (or of both, "pool") that bear on `question`, with every exclusion on the way.

    Parameters
    ----------
    protocol : which rows count; by default that of `analyses/protocol.toml`.
    without : the id of a criterion to drop, for its sensitivity analysis.
    """
    screened = screened_rows(data, question, protocol)
    counts = screened.without(without) if without else screened.included
    rows = screened.rows[counts].reset_index(drop=True)
    excluded = screened.exclusions()
    if without:
        kept = set(rows["effect_id"])
        excluded = tuple(e for e in excluded if e.row not in kept)
    if source != "pool":
        rows = rows[rows["body"] == source].reset_index(drop=True)
    persons = each_person_once(data, rows)
    rows = persons.rows
    y, v = _effects(rows)
    valence = {name: construct.valence for name, construct in data.vocabulary.constructs.items()}
    sign = np.array([float(valence[v]) if question.quality else 1.0 for v in rows["relationship"].tolist()])
    rows = rows.assign(sign=sign)
    selection = Selection(rows, (*excluded, *persons.excluded))
    return Evidence(question, source, selection, rows, sign * y, v, persons.shared)


def screened_rows(data: Dataset, question: Question, protocol: Protocol | None = None) -> Screened:
    """Every candidate for a question with the criteria it fails."""
    return _screened(data, question.relationships, question.outcome, protocol or load_protocol())


@kept_with  # a finding asks a dozen times of each question; nobody changes the rows
def _screened(data: Dataset, relationships: tuple[str, ...], outcome: str, protocol: Protocol) -> Screened:
    # Only then are they described: of 5,500 rows of the dataset a question has some hundred.
    screened = screen(described(data, rows_on(data, relationships, outcome)), protocol)
    # Here and not for each body: a question is asked of three bodies, and without each criterion.
    return replace(screened, rows=_with_measures(data, relationships, screened.rows))


def sample_means(found: Evidence, rho: float = RHO) -> Evidence:
    """One row per sample: the mean of its z, with the variance of a mean of rows that correlate by `rho`."""
    groups = rows_by_sample(found)
    first = [int(g[0]) for g in groups]
    y, v = mean_effects(found.y, found.v, groups, rho)
    rows = found.rows.iloc[first].reset_index(drop=True)
    return replace(found, selection=Selection(rows, found.selection.excluded), rows=rows, y=y, v=v)


def rows_by_sample(found: Evidence) -> list[NDArray[np.intp]]:
    """The rows of each sample, samples in order of appearance."""
    return [np.flatnonzero(found.samples == s) for s in pd.unique(found.rows["sample_id"])]


def mean_effects(y: Array, v: Array, groups: Sequence[NDArray[np.intp]], rho: float) -> tuple[Array, Array]:
    """The mean of the effects of each group of rows, and its variance where their errors correlate by `rho`."""
    sizes = np.array([len(group) for group in groups], dtype=np.intp)
    if not len(sizes):
        return np.zeros(0), np.zeros(0)
    rows, starts = np.concatenate(groups), np.cumsum(sizes) - sizes

    def summed(values: Array) -> Array:
        return np.asarray(np.add.reduceat(values[rows], starts))

    mean_variance = variance_of_sum(summed(v), summed(np.sqrt(v)), rho) / sizes**2
    # Of one row it is that row's own to the last digit, whatever rho: choices of rho that leave the same numbers are
    # told by that.
    return summed(y) / sizes, np.where(sizes == 1, v[rows[starts]], mean_variance)


def _effects(rows: pd.DataFrame) -> tuple[Array, Array]:
    """Fisher z and variances: the weighted r where the file has weights, standardized coefficients made r.

    A survey's weights make its persons stand for the country's; `n_effective` already allows for them.
    """
    if not len(rows):
        return np.zeros(0), np.zeros(0)
    weighted = rows["value_weighted"].to_numpy(float) if "value_weighted" in rows else np.full(len(rows), np.nan)
    value = np.where(np.isnan(weighted), rows["value"].to_numpy(float), weighted)
    beta = (rows["statistic"] == "beta").to_numpy()
    if beta.any():  # only ever in the sensitivity analysis without the criterion "adjusted"
        value = np.where(beta, beta_to_r(np.where(beta, value, 0.0), rows["n"].to_numpy(float)).estimate, value)
    return effect_sizes(Selection(rows.assign(value=value)))


@dataclass(frozen=True, slots=True, eq=False)
class Persons:
    """Rows in which each person is counted once, each with its `place`; what was left out, and who shares whom."""

    rows: pd.DataFrame
    excluded: tuple[Exclusion, ...]
    shared: tuple[tuple[str, str, float], ...]


def each_person_once(data: Dataset, rows: pd.DataFrame) -> Persons:
    """Samples that share persons: one of two that are mostly the same is left out, the share of others is returned."""
    rows = rows if "place" in rows else with_text(rows, {"place": _places(rows)})
    sizes = _largest_n(data)
    n = {sample: sizes.get(sample, math.nan) for sample in dict.fromkeys(rows["sample_id"].tolist())}
    excluded: list[Exclusion] = []
    shared: list[tuple[str, str, float]] = []
    for first, second, common in overlaps(data):
        if first not in n or second not in n or not common > 0:
            continue
        # By n, then by name: the result must not hang on which of the two was coded first.
        small, large = sorted((first, second), key=lambda s: (n[s], s))
        if common >= SAME_PERSONS * n[small]:
            gone = rows["sample_id"] == small
            reason = Label("mostly_persons_of", {"sample": large})
            excluded += [Exclusion(str(row), reason) for row in rows.loc[gone, "effect_id"]]
            rows = rows[~gone].reset_index(drop=True)
            del n[small]
        else:
            shared.append((first, second, float(common / np.sqrt(n[first] * n[second]))))
            both = rows["sample_id"].isin([first, second])
            places = rows.loc[both, "place"].drop_duplicates().tolist()
            unknown = [place for place in places if str(place).startswith(UNKNOWN)]
            one = next((place for place in places if place not in unknown), places[0])
            # Samples that share persons live in one place, though only one of the papers says where; so do those that
            # were put in the same unknown place before.
            rows = rows.assign(place=rows["place"].mask(both | rows["place"].isin(unknown), one))
    kept = tuple(pair for pair in shared if pair[0] in n and pair[1] in n)
    return Persons(rows, tuple(excluded), kept)


# A finding puts a body together some dozens of times, out of the same dataset: what is looked up in it is kept.
@kept_with
def _largest_n(data: Dataset) -> Mapping[str, float]:
    """The largest n of each sample's rows, where one is held."""
    largest: dict[str, float] = {}
    for sample, n in data.columns("effects.csv").rows("sample_id", "n"):
        if n > largest.get(sample, -math.inf):  # no empty cell is
            largest[sample] = n
    return largest


@kept_with
def overlaps(data: Dataset) -> list[tuple[str, str, float]]:
    """Pairs of samples with the number of persons they share; 0 where the dataset names shared schools only."""
    samples = data.columns("samples.csv")
    if "overlaps" not in samples:
        return []
    common = samples["shared_n"] if "shared_n" in samples else [0.0] * len(samples)
    named = zip(*(samples[name] for name in ("sample_id", "overlaps")), common, strict=True)
    return [(first, second, 0.0 if math.isnan(n) else n) for first, second, n in named if second]


def _countries(rows: pd.DataFrame) -> list[str]:
    """The country of each row, empty where it is unknown."""
    cells = rows["country"].tolist() if "country" in rows else [""] * len(rows)
    return [cell if isinstance(cell, str) else "" for cell in cells]


def _places(rows: pd.DataFrame) -> list[str]:
    samples = rows["sample_id"].tolist()
    return [own or f"{UNKNOWN}{sample}" for own, sample in zip(_countries(rows), samples, strict=True)]


def _with_measures(data: Dataset, relationships: tuple[str, ...], rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the place of their sample, and with construct, form and facet of the measures on both sides."""
    known = _forms(data)
    works, first = rows["work"].tolist(), rows["var_a"].isin(relationships).tolist()
    sides = {side: list(zip(works, rows[f"var_{side}"].tolist(), rows[f"measure_{side}"].tolist(), strict=True))
             for side in ("a", "b")}  # fmt: skip
    exposure = [a if turned else b for a, b, turned in zip(sides["a"], sides["b"], first, strict=True)]
    outcome = [b if turned else a for a, b, turned in zip(sides["a"], sides["b"], first, strict=True)]
    columns = {
        "relationship": [variable for _, variable, _ in exposure],
        "form_rel": [known.get(key, ("", ""))[0] for key in exposure],
        "form_out": [known.get(key, ("", ""))[0] for key in outcome],
        "facet": [known.get(key, ("", ""))[1] for key in outcome],
        "place": _places(rows),
    }
    return with_text(rows, columns)


@kept_with
def _forms(data: Dataset) -> Mapping[tuple[str, str, str], tuple[str, str]]:
    """The form and the facet of each measure by work, variable and measure."""
    named = data.columns("measures.csv").rows("work", "variable", "measure", "form", "facet")
    return {(work, variable, measure): (form, facet) for work, variable, measure, form, facet in named}
