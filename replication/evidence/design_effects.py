"""Open samples whose files tell nothing of schools: what the estimate would be if they were clustered as others are.

Called by findings. Such a row enters a pool with its plain n, as if its students had been drawn one by one; most were
drawn by school, so that is too much. The design effect of a correlation is (n - 3) / (n_effective - 3); its median over
the rows of the open samples whose files hold the design is what is assumed here. It is measured on this dataset, not
taken from elsewhere: design effects of means, which are usually printed, are larger than those of correlations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from replication.analysis.outcome import Findings, Label, Table, of, placed, refs, within
from replication.dataset import Dataset
from replication.effects.correlation import fisher_z_variance
from replication.evidence.main_model import estimate_body, leading_estimate
from replication.evidence.question import Evidence

__all__ = ["TypicalEffect", "typical_design_effect", "unknown_designs"]


@dataclass(frozen=True, slots=True)
class TypicalEffect:
    """The middle half of the design effects of correlations, over `rows` rows of `samples` samples with a design."""

    median: float
    low: float
    high: float
    rows: int
    samples: int


def typical_design_effect(data: Dataset) -> TypicalEffect:
    """Design effects of the persons' correlations that were computed with their survey's design."""
    columns = ("unit", "sample_id", "n", "n_effective", "n_effective_df")
    effects = data.columns("effects.csv").only(*columns).frame()
    # With degrees of freedom: rows of the earlier rule capped n_effective at n, which would bend the median.
    persons = effects["unit"] == data.vocabulary.person
    held = effects[persons & effects["n_effective_df"].notna() & (effects["n_effective"] > 3)]
    ratio = fisher_z_variance(held["n_effective"]) / fisher_z_variance(held["n"])
    if not len(ratio):
        return TypicalEffect(1.0, 1.0, 1.0, 0, 0)
    low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75]).tolist()
    return TypicalEffect(middle, low, high, len(ratio), int(held["sample_id"].nunique()))


def unknown_designs(data: Dataset, found: Evidence) -> Findings:
    """The estimate with the typical design effect for every row without a design; empty where there is no such row."""
    unknown = found.rows["n_effective"].isna().to_numpy()
    typical = typical_design_effect(data)
    if not unknown.any() or not typical.rows:
        return Findings()
    label = "unknown_design_as_known"
    question = replace(found.question, id=f"{found.question.id}-assumed-design")
    inflated = replace(found, question=question, v=np.where(unknown, found.v * typical.median, found.v))
    leading = leading_estimate(estimate_body(inflated), within(found.question.label, label))
    main = replace(leading, group="sensitivity")
    table = Table(
        id=f"assumed-design-{found.question.id}",
        title=of(found.question.label, "samples_of_unknown_design"),
        columns=("assumption", "r", "low", "high", "rows", "samples"),
        rows=((label, main.value, main.low, main.high, main.k, main.samples),),
        links=refs("estimate", [main.id]),
        note=Label(
            "unknown_design_note",
            {
                "rows": int(unknown.sum()),
                "samples": len(set(found.samples[unknown])),
                "factor": typical.median,
                "known_rows": typical.rows,
                "known_samples": typical.samples,
                "low": typical.low,
                "high": typical.high,
            },
        ),
    )
    return Findings(estimates=placed("robustness", (main,)), tables=placed("robustness", (table,)))
