"""The mediation paths on the 45 samples, on new samples, and together; which new samples can enter and how.

Schools in PISA, 221 samples and six reports of principals: pooled matrix and an exploratory path model.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from replication.analysis.outcome import Estimate, Figure, Table
from replication.dataset import Dataset, Selection, select
from replication.evidence.masem_answers import NAMES, SATURATED, VARIABLES, path_results
from replication.models.masem.comparison import likelihood_ratio_test
from replication.models.masem.correlations import CorrelationSet
from replication.models.masem.matrices import correlations_from_rows
from replication.models.masem.osmasem import fit_one_stage
from replication.models.masem.stage1 import fit_stage1_random
from replication.models.masem.stage2 import PathFit, fit_stage2

__all__ = ["EXPLORATORY", "entering_table", "mediation_updates", "new_matrices", "school_matrix_results", "school_set"]

FEWEST_PAIRS = 3  # a relationship with both outcomes, and the outcomes with each other


def new_matrices(data: Dataset) -> pd.DataFrame:
    """One row a sample and pair: the mean Fisher z over the measures of both sides, and the sample's smallest n.

    A sample enters when it holds a relationship with engagement and achievement and these two with each other.
    """
    roles = {key: work.role for key, work in data.works.items()}
    selection = select(data).keep(lambda r: r["work"].map(roles) == "survey", "not a new sample")
    rows = selection.keep(lambda r: r["subgroup_of"] == "", "a part of another sample: it would count twice").rows
    rows = rows[rows["var_a"].isin(list(NAMES)) & rows["var_b"].isin(list(NAMES))]
    rows = rows[(rows["measure_a"] != "teachint") & (rows["measure_b"] != "teachint")]
    order = {name: at for at, name in enumerate(NAMES)}
    swap = rows["var_a"].map(order) > rows["var_b"].map(order)
    first, second = rows["var_a"].where(~swap, rows["var_b"]), rows["var_b"].where(~swap, rows["var_a"])
    n = rows["n_effective"].where(rows["n_effective"].notna(), rows["n"])
    frame = rows.assign(a=first.map(NAMES), b=second.map(NAMES), z=np.arctanh(rows["value"]), size=n)
    frame = frame[frame["a"] != frame["b"]]
    pairs = frame.groupby(["sample_id", "label", "a", "b"], sort=False).agg(
        z=("z", "mean"), measures=("z", "size"), size=("size", "min")
    )
    pairs = pairs.reset_index()
    pairs["n"] = pairs.groupby("sample_id")["size"].transform("min")
    complete = pairs.groupby("sample_id")[["a", "b"]].apply(_has_both_sides)
    return pairs[pairs["sample_id"].map(complete)].assign(r=lambda p: np.tanh(p["z"])).reset_index(drop=True)


def entering_table(pairs: pd.DataFrame) -> Table:
    """Which new samples enter the path model, with how many measures behind each correlation."""
    rows = tuple(
        (str(p["label"]), f"{p['a']} with {p['b']}", float(p["r"]), int(p["measures"]), float(p["n"]))
        for p in pairs.to_dict("records")
    )
    columns = ("sample", "pair", "mean r", "pairs of measures", "n in the model")
    note = "Mean of Fisher z over the measures of both sides; n is the smallest (effective) n of the sample."
    links = tuple(str(s) for s in pairs["sample_id"])
    title = "New samples in the path model"
    return Table(id="entering", title=title, columns=columns, rows=rows, links=links, note=note)


def mediation_updates(data: Dataset) -> tuple[tuple[Estimate, ...], Table, tuple[Figure, ...], Table]:
    """One-stage path models on the 45 samples, the new samples, and both; the paths side by side."""
    pairs = new_matrices(data)
    old = _old_rows(select(data, works=["roorda2011"]))
    new = pairs[["sample_id", "n", "a", "b", "r"]].assign(absent_a=False, absent_b=False)
    bodies = {"45": ("the 45 samples", old), "new": ("new samples", new), "both": ("both", pd.concat([old, new]))}
    estimates: list[Estimate] = []
    figures, columns = [], []
    for key, (label, rows) in bodies.items():
        fitted = fit_one_stage(_set(rows), SATURATED)
        found, diagram = path_results(fitted, f"update-{key}", f"One stage, {label}")
        estimates += found
        figures.append(diagram)
        columns.append((label, {e.id.removeprefix(f"update-{key}-"): e for e in found}))
    names = list(columns[0][1])
    rows_ = tuple(
        (columns[0][1][name].label, *(value for _, by in columns for value in _interval(by.get(name))))
        for name in names
    )
    heads = tuple(f"{label}{end}" for label, _ in columns for end in ("", ", low", ", high"))
    table = Table(
        id="mediation-update", title="Paths before and after the update", columns=("path", *heads), rows=rows_
    )
    return tuple(estimates), table, tuple(figures), entering_table(pairs)


def _has_both_sides(pairs: pd.DataFrame) -> bool:
    held = {(a, b) for a, b in zip(pairs["a"], pairs["b"], strict=True)}
    relationship = any({(name, "enga"), (name, "achiev")} <= held for name in ("pos", "neg"))
    return relationship and ("enga", "achiev") in held


def _old_rows(selection: Selection) -> pd.DataFrame:
    rows = selection.rows
    return pd.DataFrame(
        {
            "sample_id": rows["sample_id"],
            "n": rows["n"],
            "a": rows["var_a"].map(NAMES),
            "b": rows["var_b"].map(NAMES),
            "r": rows["value"],
            "absent_a": rows["diagonal_a_missing"] == "yes",
            "absent_b": rows["diagonal_b_missing"] == "yes",
        }
    )


def _set(rows: pd.DataFrame) -> CorrelationSet:
    return correlations_from_rows(
        *(rows[name].tolist() for name in ("sample_id", "n", "a", "b", "r")),
        absent_a=rows["absent_a"].tolist(),
        absent_b=rows["absent_b"].tolist(),
        variables=list(VARIABLES),
    )


def _interval(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)


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
