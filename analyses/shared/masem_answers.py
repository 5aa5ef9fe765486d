"""The path model of this literature on correlation matrices: from rows to correlation sets, from fits to answers.

Variables carry the short names of the published analyses (pos, neg, enga, achiev); which is which is decided by the
construct of each row, never by position.

MASEM fits as estimates, diagrams and audits for the report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from replication.analysis.outcome import Cell, Estimate, Figure, Label, Table, Text, refs, several
from replication.claims import Claim, Recomputed
from replication.dataset import Dataset, Selection, select
from replication.models.fit import Interval
from replication.models.masem.correlations import CorrelationSet
from replication.models.masem.fit_indices import FitIndices
from replication.models.masem.matrices import correlations_from_rows
from replication.models.masem.osmasem import OneStageFit
from replication.models.masem.stage1 import RandomPool, fit_stage1_random
from replication.models.masem.stage2 import PathFit
from replication.models.options import SamplingRule
from replication.models.probability import NORMAL_95

__all__ = [
    "FULL_MEDIATION",
    "LOW_SES",
    "NAMES",
    "PAIR_QUANTITY",
    "SATURATED",
    "VARIABLES",
    "PathResults",
    "audit_table",
    "boundary_table",
    "correlation_set",
    "index_answers",
    "label_table",
    "one_stage_answers",
    "pair_counts",
    "path_answers",
    "path_results",
    "samples45",
    "stage1_answers",
]

NAMES = {"positive": "pos", "negative": "neg", "engagement": "enga", "achievement": "achiev"}
VARIABLES = tuple(NAMES.values())
LOW_SES = 50.0  # the authors take a value above 50 as a majority of low-SES students
WORDS = {"pos": "positive relationship", "neg": "negative relationship", "enga": "engagement", "achiev": "achievement"}
PAIR_QUANTITY = {
    f"{a}~~{b}": f"{WORDS[a]} with {WORDS[b]}" for i, a in enumerate(VARIABLES) for b in VARIABLES[i + 1 :]
}
FULL_MEDIATION = """
enga ~ b31*pos + b32*neg
achiev ~ b43*enga
pos ~~ p21*neg
pos_indirect := b31*b43
neg_indirect := b32*b43
"""
SATURATED = """
enga ~ b31*pos + b32*neg
achiev ~ b43*enga + b41*pos + b42*neg
pos ~~ p21*neg
pos_indirect := b31*b43
neg_indirect := b32*b43
pos_total := b31*b43 + b41
neg_total := b32*b43 + b42
"""
PATH_QUANTITY = {
    "b31": "standardized path: positive relationship to engagement",
    "b32": "standardized path: negative relationship to engagement",
    "b43": "standardized path: engagement to achievement",
    "b41": "standardized path: positive relationship to achievement",
    "b42": "standardized path: negative relationship to achievement",
    "p21": "correlation in the path model: positive relationship with negative relationship",
    "enga~~enga": "residual variance: engagement",
    "achiev~~achiev": "residual variance: achievement",
    "pos_indirect": "indirect effect: positive relationship to achievement through engagement",
    "neg_indirect": "indirect effect: negative relationship to achievement through engagement",
}


def samples45(data: Dataset, *, all_rows: bool = False) -> CorrelationSet:
    """The 45 public samples. A variable with NA on its diagonal counts as absent unless `all_rows` is asked for.

    `ses` is a moderator: per cent of low-SES students, standardized over the samples as the vignette does.
    """
    selection = select(data, works=["roorda2011"])
    return correlation_set(selection, all_rows=all_rows, ses=True)


def correlation_set(selection: Selection, *, all_rows: bool = True, ses: bool = False) -> CorrelationSet:
    """Selected rows as a correlation set, variables by their short names."""
    rows = selection.rows
    moderators = {}
    if ses:
        samples = rows.drop_duplicates("sample_id").set_index("sample_id")["ses"]
        moderators = {"ses": rows["sample_id"].map((samples - samples.mean()) / samples.std()).tolist()}
    return correlations_from_rows(
        rows["sample_id"].tolist(),
        rows["n"].tolist(),
        rows["var_a"].map(NAMES).tolist(),
        rows["var_b"].map(NAMES).tolist(),
        rows["value"].tolist(),
        absent_a=None if all_rows else (rows["diagonal_a_missing"] == "yes").tolist(),
        absent_b=None if all_rows else (rows["diagonal_b_missing"] == "yes").tolist(),
        variables=[v for v in VARIABLES if v in set(rows["var_a"].map(NAMES)) | set(rows["var_b"].map(NAMES))],
        moderators=moderators,
    )


def stage1_answers(pool: RandomPool) -> dict[str, Recomputed]:
    """Every quantity of a random-effects stage 1, by the words the claims use; intervals are Wald."""
    answers = {}
    ends, se = pool.fit.interval(), pool.fit.se
    for j, name in enumerate(pool.fit.names):
        words = PAIR_QUANTITY[name]
        answers[f"pooled correlation: {words}"] = Recomputed(
            float(pool.fit.beta[j]), float(ends[j, 0]), float(ends[j, 1]), float(se[j]), estimate=f"stage1-{name}"
        )
        answers[f"heterogeneity: {words}"] = Recomputed(float(pool.I2[j]) / 100.0)
        if name in {c.name for c in pool.fit.components}:
            tau2 = pool.fit.component(name)
            # Wald and below zero if need be: that is what metaSEM prints, and the print is what is compared.
            half = NORMAL_95 * tau2.se
            answers[f"between-study variance: {words}"] = Recomputed(
                tau2.estimate, tau2.estimate - half, tau2.estimate + half, tau2.se
            )
    heterogeneity = pool.fit.heterogeneity
    if heterogeneity:
        answers["homogeneity test of the correlation matrices"] = Recomputed(heterogeneity.Q, p=heterogeneity.p)
    answers["number of observed correlations"] = Recomputed(float(pool.data.used.sum()))
    answers["number of estimated parameters"] = Recomputed(float(pool.parameters))
    answers["-2 log likelihood"] = Recomputed(pool.minus2loglik)
    return answers


def path_answers(fitted: PathFit, intervals: Mapping[str, Interval] | None = None) -> dict[str, Recomputed]:
    """Every quantity of a stage 2 path model; likelihood-based intervals where given, Wald otherwise."""
    answers = {}
    ends = fitted.fit.interval()
    for j, name in enumerate(fitted.fit.names):
        low, high = _ends(intervals, name, ends[j])
        answers[PATH_QUANTITY[name]] = Recomputed(
            float(fitted.fit.beta[j]), low, high, float(fitted.fit.se[j]), estimate=f"path-{name}"
        )
    for effect in (*fitted.effects, *fitted.residuals):
        if effect.name in PATH_QUANTITY:
            low, high = _ends(intervals, effect.name, np.array([effect.interval.low, effect.interval.high]))
            answers[PATH_QUANTITY[effect.name]] = Recomputed(effect.estimate, low, high, effect.se)
    return answers | index_answers(fitted.indices)


def index_answers(indices: FitIndices) -> dict[str, Recomputed]:
    """The fit indices by the words the claims use."""
    rmsea = indices.rmsea_interval
    values = {"CFI": indices.cfi, "TLI": indices.tli, "SRMR": indices.srmr, "AIC": indices.aic, "BIC": indices.bic}
    answers = {f"model fit: {name}": Recomputed(value) for name, value in values.items()}
    answers["model fit: chi-square"] = Recomputed(indices.chi2, p=indices.p)
    answers["model fit: chi-square of the independence model"] = Recomputed(indices.baseline_chi2)
    answers["model fit: RMSEA"] = Recomputed(indices.rmsea, rmsea.low, rmsea.high)
    return answers


def one_stage_answers(fitted: OneStageFit, indices: FitIndices | None = None) -> dict[str, Recomputed]:
    """Every quantity of a one-stage model by the words the claims use; slopes of SES where it moderates a path."""
    answers = {}
    for j, name in enumerate(fitted.fit.names):
        path, _, moderator = name.partition(":")
        words = PATH_QUANTITY[path]
        if moderator:
            words = f"moderator slope: SES on {words.partition(': ')[2]}"
        answers[words] = Recomputed(float(fitted.fit.beta[j]), se=float(fitted.fit.se[j]), estimate=f"one-stage-{name}")
    for component in fitted.fit.components:
        answers[f"between-study variance: {PAIR_QUANTITY[component.name]}"] = Recomputed(component.estimate)
    answers["-2 log likelihood"] = Recomputed(fitted.minus2loglik)
    return answers | (index_answers(indices) if indices else {})


def pair_counts(data: CorrelationSet) -> dict[str, Recomputed]:
    """How many samples hold each pair, by the words the claims use."""
    return {
        f"number of samples: {PAIR_QUANTITY[name]}": Recomputed(float(count))
        for name, count in zip(data.pairs, data.studies_per_pair, strict=True)
    }


def _ends(intervals: Mapping[str, Interval] | None, name: str, wald: np.ndarray) -> tuple[float, float]:
    if intervals is None:
        return float(wald[0]), float(wald[1])
    return intervals[name].low, intervals[name].high


SHORT_WORDS = {"pos": "positive", "neg": "negative", "enga": "engagement", "achiev": "achievement"}
ARROWS = {
    "b31": ("pos", "enga"),
    "b32": ("neg", "enga"),
    "b43": ("enga", "achiev"),
    "b41": ("pos", "achiev"),
    "b42": ("neg", "achiev"),
    "p21": ("pos", "neg"),
}


def audit_table(data: CorrelationSet) -> Table:
    """Every correlation that was given and not used, or used but worth a second look (empty cells are not listed)."""
    entries = [e for e in data.audit if e.code != "missing"]
    rows = tuple(
        (e.study, e.pair, e.r if e.r == e.r else None, e.code, "yes" if e.used else "no", e.text) for e in entries
    )
    columns = ("sample", "pair", "r", "what", "used", "why")
    links = refs("row", (e.study for e in entries))
    return Table(id="masem-audit", title="audit_of_the_correlations", columns=columns, rows=rows, links=links)


def boundary_table(data: CorrelationSet, rule: SamplingRule, group: str) -> Table:
    """Standard errors that rest on a variance at its bound: as metaSEM takes them, and with that variance held."""
    as_printed = fit_stage1_random(data, sampling=rule)
    held = fit_stage1_random(data, sampling=rule, at_bound="held")
    rows = tuple(
        (name, float(as_printed.fit.beta[j]), float(as_printed.fit.se[j]), float(held.fit.se[j]))
        for j, name in enumerate(as_printed.fit.names)
        # Below a thousandth the two rules print the same digits.
        if not math.isclose(as_printed.fit.se[j], held.fit.se[j], rel_tol=1e-3)
    )
    columns = ("pair", "r", "standard_error_as_printed", "standard_error_with_the_variance_held")
    note = several(*(note.text for note in as_printed.fit.notes if not note.code.startswith("audit")))
    return Table(
        id="boundary", title=Label("variance_on_its_bound", {"group": group}), columns=columns, rows=rows, note=note
    )


def label_table(claims: Sequence[Claim], answers: Mapping[str, Recomputed]) -> Table:
    """The vignette's interchanged labels: each number under its printed label and under what it is.

    A printed label "b31 (enga<-neg)" belongs to the estimate of enga on pos, and the other way round; a number that
    agrees under the printed label as well would not show the swap, so both are printed.
    """
    by_quantity = {c.quantity: answers[c.id].value for c in claims if c.statistic == "beta" and c.id in answers}
    rows = []
    for claim in claims:
        label = claim.note.partition("printed label: ")[2]
        if "interchanged" in claim.note and claim.quantity in by_quantity:
            word, swapped = ("positive", "negative") if "positive" in claim.quantity else ("negative", "positive")
            under_label = by_quantity[claim.quantity.replace(word, swapped)]
            rows.append((label, claim.quantity, claim.printed["value"], by_quantity[claim.quantity], under_label))
    columns = ("printed_label", "what_it_is", "printed", "ours_by_what_it_is", "ours_by_the_printed_label")
    return Table(id="labels", title="interchanged_labels", columns=columns, rows=tuple(rows))


@dataclass(frozen=True, slots=True)
class PathResults:
    """The estimates of a path model by the model's own names (`b31`, `pos_indirect`, ...), and its diagram."""

    named: Mapping[str, Estimate]
    diagram: Figure

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """All of them, free paths first."""
        return tuple(self.named.values())


def path_results(fitted: PathFit | OneStageFit, key: str, title: Text) -> PathResults:
    """Paths, residual variances and effects as estimates, and the path diagram; ids begin with `key`."""
    # Names of paths and of effects never meet: effects are defined in the model text under words of their own.
    named = {**_paths(fitted, key, title), **_effects(fitted, key, title)}
    return PathResults(named, _diagram(named, key, title))


def _paths(fitted: PathFit | OneStageFit, key: str, title: Text) -> dict[str, Estimate]:
    fit, ends = fitted.fit, fitted.fit.interval()
    return {
        name: Estimate(
            id=f"{key}-{name}",
            label=_label(name),
            metric="r" if name == "p21" else "beta",
            value=float(fit.beta[j]),
            low=float(ends[j, 0]),
            high=float(ends[j, 1]),
            se=float(fit.se[j]),
            p=float(fit.p[j]),
            k=fit.k,
            group=title,
            method=dict(fit.method),
            notes=tuple(note.text for note in fit.notes),
        )
        for j, name in enumerate(fit.names)
    }


def _effects(fitted: PathFit | OneStageFit, key: str, title: Text) -> dict[str, Estimate]:
    """What follows from the paths: indirect and total effects, residual variances."""
    return {
        e.name: Estimate(
            id=f"{key}-{e.name}",
            label=e.name,
            metric="beta",
            value=e.estimate,
            low=e.interval.low,
            high=e.interval.high,
            se=e.se,
            group=title,
            method=dict(fitted.fit.method),
        )
        for e in (*fitted.effects, *fitted.residuals)
    }


def _diagram(named: Mapping[str, Estimate], key: str, title: Text) -> Figure:
    drawn = {name: e for name, e in named.items() if name in ARROWS}
    columns: dict[str, list[str | float]] = {
        "from": [SHORT_WORDS[ARROWS[name][0]] for name in drawn],
        "to": [SHORT_WORDS[ARROWS[name][1]] for name in drawn],
        "value": [e.value for e in drawn.values()],
        "low": [e.low for e in drawn.values()],
        "high": [e.high for e in drawn.values()],
        "kind": ["covariance" if name == "p21" else "path" for name in drawn],
        "estimate": [e.id for e in drawn.values()],
    }
    return Figure(id=f"diagram-{key}", kind="path_diagram", title=title, columns=columns, settings=_indirect(named))


def _indirect(named: Mapping[str, Estimate]) -> dict[str, Cell]:
    """The indirect effects of a path model with their intervals, as settings of its diagram."""
    found: dict[str, Cell] = {}
    for short, word in (("pos", "positive"), ("neg", "negative")):
        effect = named.get(f"{short}_indirect")
        if effect is not None:
            found |= {f"indirect_{word}": effect.value}
            found |= {f"indirect_{word}_low": effect.low, f"indirect_{word}_high": effect.high}
    return found


def _label(name: str) -> Text:
    if name not in ARROWS:
        return name
    a, b = ARROWS[name]
    return Label("pair_with" if name == "p21" else "path_to", {"a": SHORT_WORDS[a], "b": SHORT_WORDS[b]})
