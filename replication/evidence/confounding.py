"""What is left of an association among persons who are alike in something else.

Called by a finding with its pooled body. Three ideas:

1. The dataset holds plain correlations only, those with covariates too; what is adjusted is computed here, from the
   correlations of one sample among relationship, outcome and covariates. So every sample somebody adds with its
   socio-economic status takes part, and no adjusted coefficient is mixed with a plain one.
2. Adjusted and plain stand side by side on the same rows: a difference is then the covariates' doing.
3. Holding constant what was measured rules out that much and no more. None of this shows cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from replication.analysis.outcome import (
    Cell,
    Estimate,
    Findings,
    Label,
    Number,
    Ref,
    Sentence,
    Table,
    Text,
    numbers,
    of,
    placed,
    refs,
)
from replication.dataset import Dataset, kept_with
from replication.effects.correlation import fisher_z_variance, n_for_variance, partial_from_correlations, to_fisher_z
from replication.errors import ModelError, UserError
from replication.evidence.main_model import Estimated, estimate_body
from replication.evidence.plots import row_names
from replication.evidence.question import Evidence

__all__ = ["Adjusted", "adjusted_rows", "confounding", "covariates"]


def covariates(data: Dataset) -> tuple[tuple[str, ...], ...]:
    """What is held constant: each covariate of the vocabulary, and all of them together."""
    each = tuple(name for name, construct in data.vocabulary.constructs.items() if construct.side == "covariate")
    return (*((name,) for name in each), *((each,) if len(each) > 1 else ()))


# A mean of fewer samples says more about which samples these are than about the adjustment.
FEWEST_SAMPLES = 3

_Side = tuple[str, str]  # construct and measure


@dataclass(frozen=True, slots=True)
class Adjusted:
    """One row of a body with what it is given the covariates, both as correlations and oriented as the body is.

    `n` is the effective size behind the adjusted one: the smallest of the pairs it is made from, for each pair has
    its own complete cases.
    """

    effect_id: str
    covariates: tuple[str, ...]
    plain: float
    adjusted: float
    n: float

    @property
    def variance(self) -> float:
        """Variance of Fisher's z: a partial r given q variables is like a plain r of q persons fewer (Fisher 1924)."""
        return float(fisher_z_variance(self.n - len(self.covariates)))


def adjusted_rows(data: Dataset, found: Evidence, covariates: Sequence[str]) -> tuple[Adjusted, ...]:
    """Every row of a body whose sample holds all correlations among its two sides and the covariates.

    `adjusted` is NaN where they contradict each other, which correlations with complete cases of their own can do.
    """
    return _adjusted_rows(data, found, tuple(covariates))


@kept_with  # the page of confounding and the rules of certainty ask for the same rows
def _adjusted_rows(data: Dataset, found: Evidence, covariates: tuple[str, ...]) -> tuple[Adjusted, ...]:
    tables = _correlations(data, frozenset(found.samples))
    made = []
    names = ("sample_id", "var_a", "measure_a", "var_b", "measure_b", "effect_id", "sign")
    for sample, var_a, measure_a, var_b, measure_b, effect, sign in found.cells(*names):
        table = tables.get(str(sample), {})
        sides = [(str(var_a), str(measure_a)), (str(var_b), str(measure_b))]
        measures = [_measure_of(table, sides, name) for name in covariates]
        if None in measures:
            continue
        chosen = [*sides, *(side for side in measures if side is not None)]
        pairs = [[table.get(frozenset((a, b))) for b in chosen] for a in chosen]
        # A partial correlation needs every pair; a borrowed one would come from other persons.
        if any(pairs[i][j] is None for i in range(len(chosen)) for j in range(i)):
            continue
        made.append(_adjusted(str(effect), covariates, pairs, float(sign)))
    return tuple(made)


def _adjusted(
    effect: str, covariates: tuple[str, ...], pairs: Sequence[Sequence[tuple[float, float] | None]], sign: float
) -> Adjusted:
    size = len(pairs)
    matrix = np.eye(size)
    n = np.inf
    for i in range(size):
        for j in range(i):
            pair = pairs[i][j]
            if pair is not None:
                matrix[i, j] = matrix[j, i] = pair[0]
                # The smallest pair bounds what is known: larger ones cannot make up for it.
                n = min(n, pair[1])
    try:
        partial = partial_from_correlations(matrix)
    except UserError:
        partial = float("nan")
    return Adjusted(effect, covariates, sign * float(matrix[0, 1]), sign * partial, float(n))


@kept_with  # asked once for each set of covariates
def _correlations(
    data: Dataset, samples: frozenset[str]
) -> Mapping[str, Mapping[frozenset[_Side], tuple[float, float]]]:
    """The plain correlations of each sample by the two measures they join: r (weighted where it is) and effective n."""
    joined = ("sample_id", "var_a", "measure_a", "var_b", "measure_b")
    effects, person = data.columns("effects.csv"), data.vocabulary.person  # not within schools, nor between them
    cells = effects.rows("statistic", "unit", "sample_id")
    plain = [statistic == "r" and unit == person and sample in samples for statistic, unit, sample in cells]
    rows = effects.where(plain).only("value", "value_weighted", "n", "n_effective", *joined).frame()
    r = rows["value_weighted"].fillna(rows["value"]).astype(float)
    n = n_for_variance(rows["n"].to_numpy(float), rows["n_effective"])
    names = (map(str, rows[name]) for name in joined)
    found: dict[str, dict[frozenset[_Side], tuple[float, float]]] = {}
    for sample, var_a, measure_a, var_b, measure_b, value, persons in zip(*names, r, n, strict=True):
        # As a set: whichever side a coder wrote first, it is one correlation.
        sides = frozenset(((var_a, measure_a), (var_b, measure_b)))
        found.setdefault(sample, {})[sides] = (float(value), float(persons))
    return found


def _measure_of(
    table: Mapping[frozenset[_Side], tuple[float, float]], sides: Sequence[_Side], name: str
) -> _Side | None:
    """The measure of a covariate that is correlated with both sides; the first by name where there are several.

    A test that is the outcome itself is not paired with itself as "earlier", so such a row is left out by this.
    """
    measures = sorted({side for pair in table for side in pair if side[0] == name})
    return next((m for m in measures if all(frozenset((m, side)) in table for side in sides)), None)


def confounding(data: Dataset, found: Evidence) -> Findings:
    """Adjusted beside plain associations of a body: each row, the means of both on the same rows, and a sentence.

    Empty where no sample of the body holds a covariate.
    """
    every = {given: adjusted_rows(data, found, given) for given in covariates(data)}
    if not any(every.values()):
        return Findings()
    question, table = found.question, _row_table(data, found, every)
    sets = {given: [row for row in rows if np.isfinite(row.adjusted)] for given, rows in every.items()}
    estimates, sentences = [], []
    for given, rows in sets.items():
        pair = _means(found, given, rows)
        estimates += pair
        if rows:
            sentences.append(_sentence(found, given, rows, pair, table.id))
    return Findings(
        estimates=placed("confounding", estimates),
        tables=placed("confounding", (table,)),
        sentences=placed("confounding", (*sentences, Sentence("confounding.limits", {"question": question.id}))),
    )


def _key(found: Evidence, given: tuple[str, ...]) -> str:
    return f"{found.question.id}-given-{'-'.join(name.replace('_', '-') for name in given)}"


def _means(found: Evidence, given: tuple[str, ...], rows: Sequence[Adjusted]) -> list[Estimate]:
    """The pooled plain and adjusted correlation on the same rows; none where there are too few samples for a mean."""
    ids = {row.effect_id: row for row in rows}
    part = found.take(found.rows["effect_id"].isin(ids).to_numpy())
    if len(set(part.samples)) < FEWEST_SAMPLES:
        return []
    ordered = [ids[name] for name in part.rows["effect_id"]]
    held = {name: np.asarray(to_fisher_z([getattr(r, name) for r in ordered])) for name in ("plain", "adjusted")}
    made, near = [], None
    for name, z in held.items():
        v = np.array([row.variance for row in ordered])
        try:
            body = estimate_body(replace(part, y=z, v=v), near)
        except ModelError:
            return []
        near = body.fit
        made.append(_mean(body, name, f"{_key(found, given)}-{name}", given))
    return made


def _mean(body: Estimated, name: str, id: str, given: tuple[str, ...]) -> Estimate:  # noqa: A002
    """The mean of a body in r from whichever leads, the posterior where countries are too few for CR2."""
    return Estimate(
        id=id,
        label=of(body.found.question.label, name),
        metric="r",
        value=body.centre,
        low=body.mean.low,
        high=body.mean.high,
        k=len(body.found.y),
        samples=len(set(body.found.samples)),
        n=body.found.persons,
        group="confounding",
        method={
            "held constant": ", ".join(given) if name == "adjusted" else "nothing",
            "rows": "rows_with_all_covariates",
            "leads": Label("leads_because", {"leads": body.leads, "why": body.why}),
            "scale": "scale_z",
        },
        rows=tuple(str(row) for row in body.found.rows["effect_id"]),
    )


def _sentence(
    found: Evidence, given: tuple[str, ...], rows: Sequence[Adjusted], pair: Sequence[Estimate], table: str
) -> Sentence:
    """What is left, from the means where there are any, else the lowest and highest of the rows."""
    samples = len(set(found.rows.set_index("effect_id").loc[[row.effect_id for row in rows], "sample_id"]))
    values: dict[str, Cell | Number] = {
        "question": found.question.id,
        "given": "given_" + "_and_".join(given),
        "samples": Number(samples, Ref("table", table)),
    }
    if len(pair) == 2:
        plain, adjusted = pair
        values |= numbers({"plain": plain.value, "plain_low": plain.low, "plain_high": plain.high},
                          Ref("estimate", plain.id))  # fmt: skip
        values |= numbers({"adjusted": adjusted.value, "low": adjusted.low, "high": adjusted.high},
                          Ref("estimate", adjusted.id))  # fmt: skip
        return Sentence("confounding.means", values)
    ref = Ref("table", table)
    plain_rows, adjusted_rows = [row.plain for row in rows], [row.adjusted for row in rows]
    values |= numbers({"rows": len(rows), "plain_low": min(plain_rows), "plain_high": max(plain_rows)}, ref)
    values |= numbers({"low": min(adjusted_rows), "high": max(adjusted_rows)}, ref)
    return Sentence("confounding.rows", values)


def _row_table(data: Dataset, found: Evidence, sets: Mapping[tuple[str, ...], Sequence[Adjusted]]) -> Table:
    """Each row that can be adjusted: plain, and given each set of covariates; when the outcome came later."""
    names = dict(zip(found.rows["effect_id"], row_names(found), strict=True))
    later = dict(zip(found.rows["effect_id"], _lags(found), strict=True))
    by_row: dict[str, dict[tuple[str, ...], Adjusted]] = {}
    for given, rows in sets.items():
        for row in rows:
            by_row.setdefault(row.effect_id, {})[given] = row
    ordered = [effect for effect in found.rows["effect_id"] if effect in by_row]
    cells = tuple(
        (
            names[effect],
            later[effect],
            next(iter(by_row[effect].values())).plain,
            *(_cell(by_row[effect].get(given)) for given in sets),
        )
        for effect in ordered
    )
    return Table(
        id=f"confounding-{found.question.id}",
        title=of(found.question.label, "adjusted_and_lagged"),
        columns=("row", "months_later", "r", *(_given(given) for given in sets)),
        rows=cells,
        links=refs("row", ordered),
        note="confounding_note",
    )  # fmt: skip


def _given(covariates: tuple[str, ...]) -> Text:
    """The head of the column of one set of covariates."""
    if len(covariates) > 1:
        return "r_given_both" if len(covariates) == 2 else "r_given_all"
    return Label("r_given", {"construct": covariates[0]})


def _cell(row: Adjusted | None) -> Cell:
    """The adjusted correlation of a table cell; empty without the covariate, in words where there is none."""
    if row is None:
        return None
    return row.adjusted if np.isfinite(row.adjusted) else "correlations_contradict_each_other"


def _lags(found: Evidence) -> list[Cell]:
    """Months from the relationship to the outcome; None where they are not recorded."""
    if "lag" not in found.rows:
        return [None] * len(found.y)
    return [None if pd.isna(lag) else float(lag) for lag in found.rows["lag"]]
