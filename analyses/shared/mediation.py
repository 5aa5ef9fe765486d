"""The mediation paths on published samples, on open data, and together; which samples can enter and how.

Schools in PISA, 221 samples and six reports of principals: pooled matrix and an exploratory path model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from analyses.shared.masem_answers import NAMES, SATURATED, VARIABLES, PathResults, path_results
from replication.analysis.outcome import (
    Cell,
    Estimate,
    Figure,
    Findings,
    Label,
    Number,
    Ref,
    Sentence,
    Table,
    Text,
    numbers,
    placed,
    refs,
    within,
)
from replication.dataset import Dataset, select
from replication.effects.correlation import back_to_r, n_for_variance, to_fisher_z
from replication.evidence.answer import grade_term
from replication.evidence.certainty import GRADES, Grade
from replication.evidence.protocol import Body, described, load_protocol, screen
from replication.evidence.question import each_person_once
from replication.models.masem.comparison import likelihood_ratio_test
from replication.models.masem.correlations import CorrelationSet
from replication.models.masem.matrices import correlations_from_rows
from replication.models.masem.osmasem import fit_one_stage
from replication.models.masem.stage1 import RandomPool, fit_stage1_random
from replication.models.masem.stage2 import PathFit, fit_stage2

__all__ = [
    "EXPLORATORY",
    "REVERSED",
    "SHORT",
    "body_matrices",
    "chain_sentences",
    "entering_table",
    "mediation_updates",
    "school_matrix_results",
    "school_set",
]

REVERSED = """
achiev ~ r41*pos + r42*neg
enga ~ r34*achiev + r31*pos + r32*neg
pos ~~ p21*neg
pos_reversed := r41*r34
neg_reversed := r42*r34
"""
"""The path model with engagement and achievement changing places: as many free parameters, the same fit to the last
digit, another story. Correlations at one time cannot tell the two apart (MacCallum et al. 1993)."""
BODIES = {"published": "published_samples", "open": "open_data"}


def body_matrices(data: Dataset, body: Body) -> pd.DataFrame:
    """One row per sample and pair of one body: mean Fisher z over the measures of both sides, smallest n of the sample.

    The protocol decides which rows count. A sample of open data enters when it holds a relationship with engagement
    and achievement and these two with each other; published matrices enter with what they print, as they did in the
    published analyses.
    """
    effects = data.columns("effects.csv")
    rows = effects.where(a in NAMES and b in NAMES for a, b in effects.rows("var_a", "var_b")).frame()
    screened = screen(described(data, rows), load_protocol())
    rows = screened.rows[screened.included & (screened.rows["body"] == body).to_numpy()].reset_index(drop=True)
    rows = each_person_once(data, rows).rows
    order = {name: at for at, name in enumerate(NAMES)}
    # One order for every pair: r of a with b and of b with a are then averaged and not kept apart.
    swap = rows["var_a"].map(order) > rows["var_b"].map(order)
    first, second = rows["var_a"].where(~swap, rows["var_b"]), rows["var_b"].where(~swap, rows["var_a"])
    n = n_for_variance(rows["n"], rows["n_effective"])
    value = rows["value_weighted"].where(rows["value_weighted"].notna(), rows["value"])
    missing = [rows[f"diagonal_{side}_missing"] == "yes" for side in ("a", "b")]
    frame = rows.assign(
        a=first.map(NAMES), b=second.map(NAMES), z=to_fisher_z(value), size=n,
        absent_a=missing[0].where(~swap, missing[1]), absent_b=missing[1].where(~swap, missing[0]),
    )  # fmt: skip
    frame = frame[frame["a"] != frame["b"]]
    pairs = frame.groupby(["sample_id", "label", "a", "b"], sort=False, dropna=False).agg(
        z=("z", "mean"), measures=("z", "size"), size=("size", "min"), absent_a=("absent_a", "any"),
        absent_b=("absent_b", "any"),
    )  # fmt: skip
    pairs = pairs.reset_index()
    # One n a matrix, as the likelihood wants; the smallest claims no precision that some pair lacks.
    pairs["n"] = pairs.groupby("sample_id")["size"].transform("min")
    if body == "open":
        complete = pairs.groupby("sample_id")[["a", "b"]].apply(_has_both_sides)
        pairs = pairs[pairs["sample_id"].map(complete)]
    return pairs.assign(r=lambda p: back_to_r(p["z"])).reset_index(drop=True)


def entering_table(pairs: pd.DataFrame) -> Table:
    """Which samples of open data enter the path model, with how many measures behind each correlation."""
    rows = tuple(
        (
            str(p["label"]),
            Label("pair_with", {"a": p["a"], "b": p["b"]}),
            float(p["r"]),
            int(p["measures"]),
            float(p["n"]),
        )
        for p in pairs.to_dict("records")
    )
    columns = ("sample", "pair", "mean_r", "pairs_of_measures", "n_in_the_model")
    note = "path_model_note"
    links = refs("row", pairs["sample_id"])
    title = "open_data_in_the_path_model"
    return Table(id="entering", title=title, columns=columns, rows=rows, links=links, note=note)


def mediation_updates(data: Dataset) -> Findings:
    """One-stage path models on each body and on both, the reversed model, and the sentences of the answer."""
    pairs = {body: body_matrices(data, body) for body in BODIES}  # type: ignore[arg-type]
    frames = {**pairs, "pool": pd.concat(list(pairs.values()), ignore_index=True)}
    sets = {key: _set(rows) for key, rows in frames.items()}
    titles = {key: BODIES.get(key, "both_together") for key in sets}
    results = {
        key: path_results(fit_one_stage(held, SATURATED), f"paths-{key}", Label("one_stage_of", {"body": titles[key]}))
        for key, held in sets.items()
    }
    reverse = path_results(fit_one_stage(sets["pool"], REVERSED), "reversed-pool", "one_stage_reversed")
    side_by_side = _side_by_side([(titles[key], found.named) for key, found in results.items()])
    sentences = (s for path in ("pos", "neg") for s in _indirect_sentences(results, reverse, path))
    return Findings(
        estimates=placed("bodies", (e for found in (*results.values(), reverse) for e in found.estimates)),
        tables=(*placed("bodies", (side_by_side,)), *placed("drivers", (entering_table(pairs["open"]),))),
        # The diagram of all samples is the figure the page opens with.
        figures=tuple(
            one
            for key, found in results.items()
            for one in placed("answer" if key == "pool" else "bodies", (found.diagram,))
        ),
        sentences=placed("answer", sentences),
    )


def _indirect_sentences(results: Mapping[str, PathResults], reverse: PathResults, path: str) -> Iterator[Sentence]:
    """The indirect effect of one relationship, in all samples and in each body, and of the reversed model."""
    pool, turned = results["pool"].named[f"{path}_indirect"], reverse.named[f"{path}_reversed"]
    each = {body: results[body].named[f"{path}_indirect"] for body in BODIES}
    yield Sentence(
        "answer.mediation.lead",
        {
            "path": f"path-{path}",
            **numbers({"r": pool.value, "low": pool.low, "high": pool.high}, Ref("estimate", pool.id)),
            **{f"{body}_r": Number(e.value, Ref("estimate", e.id)) for body, e in each.items()},
        },
    )
    ends = {"r": turned.value, "low": turned.low, "high": turned.high}
    yield Sentence("answer.mediation.reversed", {"path": f"path-{path}", **numbers(ends, Ref("estimate", turned.id))})


def chain_sentences(grades: Mapping[str, Grade]) -> tuple[Sentence, ...]:
    """How sure a chain is: as its weakest link; and that it says nothing of cause."""
    # A product is no surer than the factor that is known least.
    weakest = min(grades, key=lambda name: GRADES.index(grades[name]))
    return (
        Sentence(
            "answer.mediation.sure", {"grade": grade_term(grades[weakest]), "weakest": f"path-{weakest}"}, "answer"
        ),
        Sentence("answer.mediation.cause", {"grade": grade_term("very_low")}, "cause"),
    )


def _side_by_side(columns: Sequence[tuple[Text, Mapping[str, Estimate]]]) -> Table:
    names = list(columns[0][1])
    rows = tuple(
        (columns[0][1][name].label, *(value for _, by in columns for value in _interval(by.get(name))))
        for name in names
    )
    heads = tuple(head for body, _ in columns for head in (body, within(body, "low"), within(body, "high")))
    return Table(id="paths-bodies", title="paths_in_each_body_of_evidence", columns=("path", *heads), rows=rows)


def _has_both_sides(pairs: pd.DataFrame) -> bool:
    held = {(a, b) for a, b in zip(pairs["a"], pairs["b"], strict=True)}
    relationship = any({(name, "enga"), (name, "achiev")} <= held for name in ("pos", "neg"))
    return relationship and ("enga", "achiev") in held


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
    # Centred over samples, not rows: a sample with more pairs would pull the centre.
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
    estimates = _estimates(fit_stage2(pool, EXPLORATORY))
    tables = (_school_matrix(pool, len(schools.studies)), _school_cycle(schools))
    return tuple(estimates.values()), tables, _diagram(estimates)


def _school_matrix(pool: RandomPool, samples: int) -> Table:
    ends = np.asarray(pool.fit.interval())
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Label("pair_with", dict(zip("ab", name.split("~~"), strict=True))),
            float(pool.fit.beta[j]),
            float(ends[j, 0]),
            float(ends[j, 1]),
            float(pool.tau2[j, j]),
            float(pool.I2[j]),
        )
        for j, name in enumerate(pool.fit.names)
    )
    return Table(
        id="school-matrix",
        title="school_correlations",
        columns=("pair", "r", "low", "high", "tau2", "i2_percent"),
        rows=rows,
        note=Label("school_matrix_note", {"samples": samples}),
    )


def _school_cycle(schools: CorrelationSet) -> Table:
    """The slope of each path on decades, and the likelihood-ratio test of all of them."""
    used = schools.subset(["relations", "disruption", "bullying", "absence"])
    moderated = list("abcde")
    reduced = fit_one_stage(used, EXPLORATORY)
    full = fit_one_stage(used, EXPLORATORY, moderators={"decade": moderated})
    test = likelihood_ratio_test(reduced, full)
    ends = full.fit.interval()
    changes: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Label("path_to", dict(zip("ab", ARROWS[path], strict=True))),
            float(full.fit.beta[j]),
            float(ends[j, 0]),
            float(ends[j, 1]),
        )
        for path, j in ((path, full.fit.names.index(f"{path}:decade")) for path in moderated)
    )
    return Table(
        id="school-cycle",
        title="school_paths_by_cycle",
        columns=("path", "change_a_decade", "low", "high"),
        rows=changes,
        note=Label("school_cycle_note", {"chi2": test.chi2, "df": test.df}),
    )


def _estimates(paths: PathFit) -> dict[str, Estimate]:
    fit, ends = paths.fit, paths.fit.interval()
    title = "school_path_model"
    return {
        name: Estimate(
            id=f"schools-path-{name}",
            label=Label("path_to", dict(zip("ab", ARROWS[name], strict=True))),
            metric="beta",
            value=float(fit.beta[j]),
            low=float(ends[j, 0]),
            high=float(ends[j, 1]),
            se=float(fit.se[j]),
            p=float(fit.p[j]),
            group=title,
            method={**fit.method, "status": "exploratory_status"},
        )
        for j, name in enumerate(fit.names)
    }


def _diagram(drawn: Mapping[str, Estimate]) -> Figure:
    columns: dict[str, list[str | float]] = {
        "from": [ARROWS[name][0] for name in drawn],
        "to": [ARROWS[name][1] for name in drawn],
        "value": [e.value for e in drawn.values()],
        "low": [e.low for e in drawn.values()],
        "high": [e.high for e in drawn.values()],
        "kind": ["covariance" if name == "f" else "path" for name in drawn],
        "estimate": [e.id for e in drawn.values()],
    }
    return Figure(id="schools-diagram", kind="path_diagram", title="school_exploratory", columns=columns)
