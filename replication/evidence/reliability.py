"""What the correlations would be with measures free of error: a sensitivity analysis of a finding, never its answer.

Called by findings. Each side of a correlation is divided by the root of its reliability (Spearman 1904), taken from
`descriptives.csv` for the same sample and measure; the standard error is divided alike. Three cases are kept apart:

1. the reliability of both error-prone sides is recorded: corrected (`recorded`);
2. an index without one takes the median of the indices of its construct: corrected, and counted as assumed;
3. a side that is one question, or grades, has no internal consistency: that side stays as it is, so the result is
   still too small. A test given as plausible values is not corrected: its error is modelled by the survey already.

The correction takes away error that differs from answer to answer. What both sides share because the same student
reports them stays, and grows with the correction; so the corrected figure is no better estimate of cause or agreement.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    numbers,
    of,
    placed,
    refs,
    within,
)
from replication.dataset import Dataset
from replication.dataset.columns import Columns
from replication.effects.correlation import back_to_r, correct_attenuation, to_fisher_z
from replication.effects.effect_size import EffectSize
from replication.evidence.main_model import Estimated, estimate_body, leading_estimate
from replication.evidence.question import Evidence
from replication.models.fit import Array

__all__ = ["Corrected", "attenuation", "corrected_evidence"]

FEWEST_SAMPLES = 3
"""Fewer samples are not pooled: of two the spread between samples cannot be seen."""

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A body with every row corrected as far as it can be, `(k,)` each, in the order of `found`.

    `recorded` rows rest on recorded reliabilities alone; `assumed` rows take one from other samples; `bare` rows have a
    side that stays uncorrected because it is one question or grades. `beyond` counts rows left out because the
    corrected value would be 1 or more.
    """

    found: Evidence
    body: Evidence
    recorded: Array
    assumed: Array
    bare: Array
    beyond: int


def corrected_evidence(data: Dataset, found: Evidence) -> Corrected:
    """The rows of a body, corrected for attenuation where a reliability is recorded or can be assumed."""
    recorded, typical = _reliabilities(data)
    forms = _forms(data)
    # A row has seventy columns, and `_side` looks at six of them.
    rows = Columns.of(found.rows[list(_LOOKED_AT)]).records()
    sides = [[_side(row, side, recorded, typical, forms) for side in "ab"] for row in rows]
    alpha = np.array([[a for a, _ in pair] for pair in sides]).reshape(-1, 2)
    kinds = np.array([[kind for _, kind in pair] for pair in sides], dtype=object).reshape(-1, 2)
    r = back_to_r(found.y)
    raw = EffectSize(r, found.v * (1.0 - r**2) ** 2, "r")  # the design's variance, on the scale of r
    corrected = correct_attenuation(raw, alpha[:, 0], alpha[:, 1])
    # Reliabilities are estimates too: where they are too low the corrected value passes 1.
    usable = np.abs(corrected.estimate) < 1.0
    value, variance = corrected.estimate[usable], corrected.variance[usable]
    kept = found.take(usable)
    # Back on z by the delta method, where the main model works.
    body = replace(kept, y=to_fisher_z(value), v=variance / (1.0 - value**2) ** 2)
    kinds = kinds[usable]
    assumed = (kinds == "assumed").any(axis=1)
    bare = (kinds == "bare").any(axis=1)
    return Corrected(kept, body, ~assumed & ~bare, assumed, bare, int((~usable).sum()))


def attenuation(data: Dataset, found: Evidence) -> Findings:
    """The sensitivity analysis of a finding: the same rows before and after, and all rows with what is assumed.

    Empty where fewer than three samples have recorded reliabilities.
    """
    made = corrected_evidence(data, found)
    whole = made.recorded.astype(bool)
    if len(set(made.body.samples[whole])) < FEWEST_SAMPLES:
        return Findings()
    steps = (
        ("before", "uncorrected_recorded", made.found.take(whole)),
        ("recorded", "corrected_recorded", made.body.take(whole)),
        ("all", "corrected_all", made.body),
    )
    estimates, near = [], None
    for name, label, body in steps:
        answer = estimate_body(_named(body, name), near)
        estimates.append(_estimate(answer, label))
        near = answer.fit  # nearly the same effects
    table = Table(
        id=f"reliability-{found.question.id}",
        title=of(found.question.label, "corrected_for_reliability"),
        columns=("rows", "r", "low", "high", "rows_used", "samples"),
        rows=tuple((s[1], e.value, e.low, e.high, e.k, e.samples) for s, e in zip(steps, estimates, strict=True)),
        links=refs("estimate", (e.id for e in estimates)),
        note=Label(
            "reliability_note",
            {"assumed": int(made.assumed.sum()), "bare": int(made.bare.sum()), "beyond": made.beyond},
        ),
    )
    return Findings(
        estimates=placed("robustness", estimates),
        tables=placed("robustness", (table,)),
        sentences=placed("robustness", (_sentence(found, tuple(estimates)),)),
    )


def _reliabilities(data: Dataset) -> tuple[Mapping[_Key, float], Mapping[str, float]]:
    """Recorded reliabilities by sample and measure, and their median by construct."""
    table = data.table("descriptives.csv")
    held = table[table["reliability"].notna() & (table["reliability"] > 0)]
    columns = (held[name].tolist() for name in ("sample_id", "variable", "measure", "reliability"))
    by_measure = {(str(s), str(v), str(m)): float(alpha) for s, v, m, alpha in zip(*columns, strict=True)}
    # The median, as a single short scale with a low alpha would pull a mean.
    typical = held.groupby("variable")["reliability"].median()
    return by_measure, {str(variable): float(alpha) for variable, alpha in typical.items()}


def _forms(data: Dataset) -> Mapping[_Key, str]:
    measures: pd.DataFrame = data.measures
    keys = zip(measures["work"], measures["variable"], measures["measure"], strict=True)
    return dict(zip(keys, measures["form"], strict=True))


_LOOKED_AT = ("sample_id", "work", "var_a", "measure_a", "var_b", "measure_b")


def _side(
    row: Mapping[str, object],
    side: str,
    recorded: Mapping[_Key, float],
    typical: Mapping[str, float],
    forms: Mapping[_Key, str],
) -> tuple[float, str]:
    """The reliability to divide by and what it is: recorded, test (1), assumed, or bare (1: nothing to correct by)."""
    variable, measure = str(row[f"var_{side}"]), str(row[f"measure_{side}"])
    known = recorded.get((str(row["sample_id"]), variable, measure))
    form = forms.get((str(row["work"]), variable, measure), "")
    # Before a recorded reliability is looked at: plausible values carry the test's error already.
    if form == "test":
        return 1.0, "test"
    if known is not None:
        return known, "recorded"
    # Of an index alone: one question has no internal consistency that another scale could lend it.
    if form == "index" and variable in typical:
        return typical[variable], "assumed"
    return 1.0, "bare"


def _named(body: Evidence, name: str) -> Evidence:
    """Under a question id of its own, so that estimates have ids of their own."""
    return replace(body, question=replace(body.question, id=f"reliability-{body.question.id}-{name}"))


def _estimate(body: Estimated, label: str) -> Estimate:
    main = leading_estimate(body, within(body.found.question.label, label))
    return replace(main, group="sensitivity", method={**main.method, "reliability": label})


def _sentence(found: Evidence, estimates: tuple[Estimate, ...]) -> Sentence:
    values: dict[str, Cell | Number] = {"question": found.question.id}
    for name, estimate in zip(("before", "after"), estimates[:2], strict=True):
        ends = {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        values |= numbers({**ends, "samples": estimate.samples}, Ref("estimate", estimate.id))
    return Sentence("reliability.corrected", values)
