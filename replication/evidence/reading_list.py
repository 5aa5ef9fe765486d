"""What is still to be read, where it would stand, and how much it would tell.

`tells` is the share of the weight a new sample would have in the pool of its question, with the dataset as it is:
`w_new / (sum w + w_new)`, `w = 1 / (tau2 + 1 / (n - 3))`. It is 1 where nothing is known yet, near 0 where one more
sample changes little. Where n is unknown the median n of the dataset's samples stands in, and the entry says so.

What to read next, as tables: each entry in the order of how much it would tell.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from replication.analysis.outcome import Cell, Findings, Label, Table, Text, placed, refs
from replication.claims import SECOND_HAND
from replication.dataset import Dataset, select
from replication.effects.correlation import fisher_z_variance, n_for_variance, to_fisher_z
from replication.evidence.question import FROM_AFAR
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["ToRead", "reading_findings", "reading_list"]

Kind = Literal["coefficient", "unreadable", "check", "tables", "lead"]
"""coefficient: only its direction is known; unreadable: printed, but not readable where it was read; check: read
second-hand; tables: what the work's record says is missing; lead: a study nobody has opened."""

_FEW = 3
_TAU2_UNKNOWN = 0.02  # Fisher z; close to the pools of this dataset, and only ranks entries of empty questions


@dataclass(frozen=True, slots=True)
class ToRead:
    """One thing to read: in which work, what, where it stands, which claims or directions it would settle.

    `what` are the texts of the records, `pairs` the pools it bears on by their constructs. `tells` is between 0 and 1,
    NaN where the entry bears on no pool; `rows` are ids of claims or directions.
    """

    work: str
    cited: bool
    kind: Kind
    what: tuple[str, ...]
    where: str
    pairs: tuple[tuple[str, str], ...]
    n: float
    n_known: bool
    tells: float
    rows: tuple[str, ...]


def reading_list(dataset: Dataset) -> tuple[ToRead, ...]:
    """Everything still to be read: most telling first, then by the number of claims it would settle."""
    found = [*_coefficients(dataset), *_claims(dataset), *_tables(dataset), *_leads(dataset)]
    return tuple(sorted(found, key=_rank))


def _rank(entry: ToRead) -> tuple[float, bool, int, str]:
    # What would tell an unknown amount comes after everything of which the amount is known.
    return (-entry.tells if math.isfinite(entry.tells) else 0.0, not entry.cited, -len(entry.rows), entry.work)


def _coefficients(dataset: Dataset) -> Iterator[ToRead]:
    """Direction-only rows, together where work, place and question are the same."""
    weights = _Weights(dataset)
    columns = ["work", "where_to_find", "predictor_construct", "outcome_domain"]
    for (work, where, predictor, outcome), rows in dataset.directions.groupby(columns, sort=False):
        n, known = weights.size_of(str(work))
        predictors, outcomes = (dataset.vocabulary.stands_for(str(word)) for word in (predictor, outcome))
        pairs = list(itertools.product(predictors, outcomes))
        # A direction may bear on two questions: it is as telling as it is for the one it tells most about.
        tells = max((weights.tells(pair, n) for pair in pairs), default=math.nan)
        yield ToRead(
            work=str(work),
            cited=_cited(dataset, str(work)),
            kind="coefficient",
            what=tuple(dict.fromkeys(rows["association"])),
            where=str(where) or "the tables of the article",
            pairs=tuple(pairs),
            n=n,
            n_known=known,
            tells=tells,
            rows=tuple(rows["direction_id"]),
        )


def _claims(dataset: Dataset) -> Iterator[ToRead]:
    """Claims whose print could not be read, and those known from somebody else."""
    claims = dataset.claims
    # Printed but unreadable where it was read: opening the work itself settles these at once.
    unreadable = claims[claims["printed"] == ""]
    second = claims[claims["reading"].isin(SECOND_HAND) & (claims["printed"] != "")]
    parts: tuple[tuple[Kind, pd.DataFrame], ...] = (("unreadable", unreadable), ("check", second))
    for kind, rows in parts:
        for work, own in rows.groupby("work", sort=False):
            what = tuple(dict.fromkeys(own["quantity"]))
            where = "; ".join(dict.fromkeys(own["source_url"]))
            yield _plain(dataset, str(work), kind, what, where, tuple(own["claim_id"]))


def _tables(dataset: Dataset) -> Iterator[ToRead]:
    """What the records of works say is missing, with the claims that hang on it."""
    claims = dataset.claims.groupby("work")["claim_id"].agg(tuple).to_dict()
    for key, work in dataset.works.items():
        if work.missing and work.role != "survey":
            yield _plain(dataset, key, "tables", (work.missing,), dataset.references[key].venue, claims.get(key, ()))


def _leads(dataset: Dataset) -> Iterator[ToRead]:
    """Studies that nobody has opened; the vocabulary says what most of them are about."""
    weights = _Weights(dataset)
    pair = dataset.vocabulary.stands_for("lead")
    columns = (dataset.table("leads.csv")[name].tolist() for name in ("lead_id", "study", "n", "address"))
    for lead, study, n, address in zip(*columns, strict=True):
        known = math.isfinite(n)
        size = n if known else weights.median
        pairs = ((pair[0], pair[1]),) if len(pair) == 2 else ()
        tells = weights.tells(pairs[0], size) if pairs else math.nan
        yield ToRead("", False, "lead", (study,), address, pairs, size, known, tells, (lead,))


def _plain(dataset: Dataset, work: str, kind: Kind, what: tuple[str, ...], where: str, rows: tuple[str, ...]) -> ToRead:
    return ToRead(work, _cited(dataset, work), kind, what, where, (), math.nan, False, math.nan, rows)


def _cited(dataset: Dataset, work: str) -> bool:
    return dataset.works[work].role == "cited"


class _Weights:
    """What each question's pool weighs today."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._pools: dict[tuple[str, str], tuple[float, float]] = {}
        effects = dataset.columns("effects.csv")
        persons = effects.where(unit == dataset.vocabulary.person for unit in effects["unit"])
        sizes = persons.only("sample_id", "n").frame().groupby("sample_id")["n"].max()
        self.median = float(sizes.median()) if len(sizes) else 100.0
        claims = dataset.claims[dataset.claims["statistic"] == "n"]
        self._printed = claims.groupby("work")["n"].max().to_dict()

    def size_of(self, work: str) -> tuple[float, bool]:
        """The persons of a work as its claims print them, or the median, and whether it is printed."""
        n = float(self._printed.get(work, math.nan))
        return (n, True) if n > 3 else (self.median, False)

    def tells(self, pair: tuple[str, str], n: float) -> float:
        """The share of the weight a sample of n persons would have in the pool of the pair."""
        if pair not in self._pools:
            self._pools[pair] = self._pool(pair)
        tau2, weight = self._pools[pair]
        # At least one person more than three, or the variance of z would be infinite.
        new = 1.0 / (tau2 + 1.0 / max(n - 3.0, 1.0))
        return new / (weight + new)

    def _pool(self, pair: tuple[str, str]) -> tuple[float, float]:
        """tau2 and the sum of weights of the samples there are, one mean value per sample."""
        rows = select(self._dataset, pair=pair).rows
        rows = rows[~rows["reading"].isin(FROM_AFAR) & (rows["subgroup_of"] == "") & (rows["value"].abs() < 1)]
        if rows.empty:
            return _TAU2_UNKNOWN, 0.0
        n = n_for_variance(rows["n"], rows["n_effective"])
        samples = pd.DataFrame({"z": to_fisher_z(rows["value"]), "n": n, "sample": rows["sample_id"]})
        means = samples.groupby("sample")[["z", "n"]].mean()
        v = fisher_z_variance(means["n"])
        tau2 = _TAU2_UNKNOWN
        if len(means) >= _FEW:
            tau2 = fit_random_effects(means["z"].to_numpy(), v).component("tau2").estimate
        return tau2, float((1.0 / (tau2 + v)).sum())


KINDS = {
    "coefficient": "only_direction",
    "unreadable": "unreadable_print",
    "check": "quoted_by_others",
    "tables": "missing_tables",
}


def reading_findings(entries: Sequence[ToRead]) -> Findings:
    """One row an entry; studies that nobody has opened are counted, since they have a list of their own."""
    works = [entry for entry in entries if entry.kind != "lead"]
    leads = len(entries) - len(works)
    table = Table(
        id="reading-list",
        title="what_to_read",
        columns=("work", "why_listed", "what", "where", "would_weigh", "settles"),
        rows=tuple(_row(entry) for entry in works),
        links=refs("work", (entry.work for entry in works)),
        note=Label("reading_note", {"leads": leads}),
    )
    return Findings(tables=placed("more", [table]))


def _row(entry: ToRead) -> tuple[Cell, ...]:
    weighs: Text = ""
    if math.isfinite(entry.tells):
        pools = tuple(Label("pair_with", {"a": a, "b": b}) for a, b in entry.pairs)
        said: dict[str, Cell | tuple[Text, ...]] = {"share": entry.tells, "pools": pools, "n": entry.n}
        weighs = Label("weighs_with_n" if entry.n_known else "weighs_with_median", said)
    # Texts of the records stand in one cell, where a page marks those that stay English.
    return (entry.work, KINDS[entry.kind], "; ".join(entry.what), entry.where, weighs, len(entry.rows))
