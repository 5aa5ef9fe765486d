"""Schools in PISA, 221 samples and six reports of principals: pooled matrix and an exploratory path model."""

from __future__ import annotations

import numpy as np

from replication.analysis.outcome import Estimate, Figure, Table
from replication.dataset import Dataset, select
from replication.models.masem.building import correlations_from_rows
from replication.models.masem.comparison import likelihood_ratio_test
from replication.models.masem.correlations import CorrelationSet
from replication.models.masem.osmasem import fit_one_stage
from replication.models.masem.stage1 import fit_stage1_random
from replication.models.masem.stage2 import PathFit, fit_stage2

__all__ = ["EXPLORATORY", "school_matrix_results", "school_set"]

SHORT = {
    "poor_relations": "relations",
    "school_disruption": "disruption",
    "school_bullying": "bullying",
    "school_absenteeism": "absence",
    "school_skipping": "skipping",
    "school_disrespect": "disrespect",
}
EXPLORATORY = """
disruption ~ a*relations
bullying ~ b*relations + c*disruption
absence ~ d*relations + e*disruption
bullying ~~ f*absence
to_bullying := a*c
to_absence := a*e
"""
ARROWS = {
    "a": ("relations", "disruption"),
    "b": ("relations", "bullying"),
    "c": ("disruption", "bullying"),
    "d": ("relations", "absence"),
    "e": ("disruption", "absence"),
    "f": ("bullying", "absence"),
}


def school_set(data: Dataset) -> CorrelationSet:
    """The 221 samples as correlation matrices of the six principal items; the cycle, centred, in decades."""
    rows = select(data, unit="school", works=["oecdpisa"]).rows
    rows = rows[rows["var_a"].isin(list(SHORT)) & rows["var_b"].isin(list(SHORT))]
    cycle = rows["cycle"].astype(float)
    decades = (cycle - cycle.groupby(rows["sample_id"]).first().mean()) / 10.0
    return correlations_from_rows(
        rows["sample_id"].tolist(),
        rows["n"].tolist(),
        rows["var_a"].map(SHORT).tolist(),
        rows["var_b"].map(SHORT).tolist(),
        rows["value"].tolist(),
        variables=list(SHORT.values()),
        moderators={"decade": decades.tolist()},
        sample_size="smallest",
    )


def school_matrix_results(data: Dataset) -> tuple[tuple[Estimate, ...], tuple[Table, ...], Figure]:
    """Pooled correlations, exploratory paths, and whether they change with the cycle."""
    schools = school_set(data)
    pool = fit_stage1_random(schools)
    ends = np.asarray(pool.fit.interval())
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (
            name.replace("~~", " with "),
            float(pool.fit.beta[j]),
            float(ends[j, 0]),
            float(ends[j, 1]),
            float(pool.tau2[j, j]),
            float(pool.I2[j]),
        )
        for j, name in enumerate(pool.fit.names)
    )
    matrix = Table(
        id="school-matrix",
        title="School level: fifteen pooled correlations of principals' reports",
        columns=("pair", "r", "low", "high", "tau2", "I2 (%)"),
        rows=rows,
        note=f"{len(schools.studies)} samples of schools; unit: schools, never students.",
    )
    used = schools.subset(["relations", "disruption", "bullying", "absence"])
    paths = fit_stage2(pool, EXPLORATORY)
    still = fit_one_stage(used, EXPLORATORY)
    moving = fit_one_stage(used, EXPLORATORY, moderators={"decade": list("abcde")})
    test = likelihood_ratio_test(still, moving)
    slopes = [(name, j) for j, name in enumerate(moving.fit.names) if ":" in name]
    ends = moving.fit.interval()
    changes: tuple[tuple[str | float, ...], ...] = tuple(
        (" to ".join(ARROWS[name[0]]), float(moving.fit.beta[j]), float(ends[j, 0]), float(ends[j, 1]))
        for name, j in slopes
    )
    cycle = Table(
        id="school-cycle",
        title="School level: do the exploratory paths change with the cycle?",
        columns=("path", "change a decade", "low", "high"),
        rows=changes,
        note=f"Likelihood-ratio test of all five: chi-square {test.chi2:.2f} with {test.df} degrees of freedom.",
    )
    estimates = _estimates(paths)
    return estimates, (matrix, cycle), _diagram(estimates)


def _estimates(paths: PathFit) -> tuple[Estimate, ...]:
    fit, ends = paths.fit, paths.fit.interval()
    title = "Exploratory path model, school level"
    return tuple(
        Estimate(
            id=f"schools-path-{name}",
            label=" to ".join(ARROWS[name]),
            metric="beta",
            value=float(fit.beta[j]),
            low=float(ends[j, 0]),
            high=float(ends[j, 1]),
            se=float(fit.se[j]),
            p=float(fit.p[j]),
            group=title,
            method={**fit.method, "status": "exploratory: the model was not stated before seeing the data"},
        )
        for j, name in enumerate(fit.names)
    )


def _diagram(estimates: tuple[Estimate, ...]) -> Figure:
    names = [e.id.removeprefix("schools-path-") for e in estimates]
    columns: dict[str, list[str | float]] = {
        "from": [ARROWS[name][0] for name in names],
        "to": [ARROWS[name][1] for name in names],
        "value": [e.value for e in estimates],
        "low": [e.low for e in estimates],
        "high": [e.high for e in estimates],
        "kind": ["covariance" if name == "f" else "path" for name in names],
        "estimate": [e.id for e in estimates],
    }
    return Figure(id="schools-diagram", kind="path_diagram", title="School level, exploratory", columns=columns)
