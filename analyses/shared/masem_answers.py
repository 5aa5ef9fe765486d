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
from replication.dataset import Dataset, Selection, kept_with, select
from replication.errors import DataError
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
    "SATURATED",
    "VARIABLES",
    "PathResults",
    "answers_by_key",
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
PATH_KEYS = {  # the claims' keys of what the models call by these names
    "b31": "path_pos_enga",
    "b32": "path_neg_enga",
    "b43": "path_enga_achiev",
    "b41": "path_pos_achiev",
    "b42": "path_neg_achiev",
    "p21": "model_r_pos_neg",
    "enga~~enga": "residual_enga",
    "achiev~~achiev": "residual_achiev",
    "pos_indirect": "indirect_pos",
    "neg_indirect": "indirect_neg",
}
INTERCHANGED = {"path_pos_enga": "path_neg_enga", "path_pos_achiev": "path_neg_achiev"}


@kept_with  # every rule of covariance is tried on the same samples
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
    sides = [[NAMES[name] for name in rows[side].tolist()] for side in ("var_a", "var_b")]
    return correlations_from_rows(
        rows["sample_id"].tolist(),
        rows["n"].tolist(),
        *sides,
        rows["value"].tolist(),
        absent_a=None if all_rows else (rows["diagonal_a_missing"] == "yes").tolist(),
        absent_b=None if all_rows else (rows["diagonal_b_missing"] == "yes").tolist(),
        variables=[v for v in VARIABLES if any(v in side for side in sides)],
        moderators=moderators,
    )


def stage1_answers(pool: RandomPool) -> dict[str, Recomputed]:
    """Every quantity of a random-effects stage 1, by the claims' keys; intervals are Wald."""
    answers = {}
    ends, se = pool.fit.interval(), pool.fit.se
    for j, name in enumerate(pool.fit.names):
        pair = pair_key(name)
        answers[f"pooled_{pair}"] = Recomputed(
            float(pool.fit.beta[j]), float(ends[j, 0]), float(ends[j, 1]), float(se[j]), estimate=f"stage1-{name}"
        )
        answers[f"i2_{pair}"] = Recomputed(float(pool.I2[j]) / 100.0)
        if name in {c.name for c in pool.fit.components}:
            tau2 = pool.fit.component(name)
            # Wald and below zero if need be: that is what metaSEM prints, and the print is what is compared.
            half = NORMAL_95 * tau2.se
            answers[f"tau2_{pair}"] = Recomputed(tau2.estimate, tau2.estimate - half, tau2.estimate + half, tau2.se)
    heterogeneity = pool.fit.heterogeneity
    if heterogeneity:
        answers["homogeneity"] = Recomputed(heterogeneity.Q, p=heterogeneity.p)
    answers["correlations"] = Recomputed(float(pool.data.used.sum()))
    answers["parameters"] = Recomputed(float(pool.parameters))
    answers["minus2loglik"] = Recomputed(pool.minus2loglik)
    return answers


def path_answers(fitted: PathFit, intervals: Mapping[str, Interval] | None = None) -> dict[str, Recomputed]:
    """Every quantity of a stage 2 path model; likelihood-based intervals where given, Wald otherwise."""
    answers = {}
    ends = fitted.fit.interval()
    for j, name in enumerate(fitted.fit.names):
        low, high = _ends(intervals, name, ends[j])
        answers[PATH_KEYS[name]] = Recomputed(
            float(fitted.fit.beta[j]), low, high, float(fitted.fit.se[j]), estimate=f"path-{name}"
        )
    for effect in (*fitted.effects, *fitted.residuals):
        if effect.name in PATH_KEYS:
            low, high = _ends(intervals, effect.name, np.array([effect.interval.low, effect.interval.high]))
            answers[PATH_KEYS[effect.name]] = Recomputed(effect.estimate, low, high, effect.se)
    return answers | index_answers(fitted.indices)


def index_answers(indices: FitIndices) -> dict[str, Recomputed]:
    """The fit indices by the claims' keys."""
    rmsea = indices.rmsea_interval
    values = {"cfi": indices.cfi, "tli": indices.tli, "srmr": indices.srmr, "aic": indices.aic, "bic": indices.bic}
    answers = {name: Recomputed(value) for name, value in values.items()}
    answers["chi_square"] = Recomputed(indices.chi2, p=indices.p)
    answers["chi_square_independence"] = Recomputed(indices.baseline_chi2)
    answers["rmsea"] = Recomputed(indices.rmsea, rmsea.low, rmsea.high)
    return answers


def one_stage_answers(fitted: OneStageFit, indices: FitIndices | None = None) -> dict[str, Recomputed]:
    """Every quantity of a one-stage model by the claims' keys; slopes of SES where it moderates a path."""
    answers = {}
    for j, name in enumerate(fitted.fit.names):
        path, _, moderator = name.partition(":")
        key = f"slope_ses_{'_'.join(ARROWS[path])}" if moderator else PATH_KEYS[path]
        answers[key] = Recomputed(float(fitted.fit.beta[j]), se=float(fitted.fit.se[j]), estimate=f"one-stage-{name}")
    for component in fitted.fit.components:
        answers[f"tau2_{pair_key(component.name)}"] = Recomputed(component.estimate)
    answers["minus2loglik"] = Recomputed(fitted.minus2loglik)
    return answers | (index_answers(indices) if indices else {})


def pair_counts(data: CorrelationSet) -> dict[str, Recomputed]:
    """How many samples hold each pair, by the claims' keys."""
    return {
        f"k_{pair_key(name)}": Recomputed(float(count))
        for name, count in zip(data.pairs, data.studies_per_pair, strict=True)
    }


def pair_key(pair: str) -> str:
    """What the keys of claims call a pair of variables, such as "pos_enga"."""
    return pair.replace("~~", "_")


def answers_by_key(claims: Sequence[Claim], found: Mapping[str, Mapping[str, Recomputed]]) -> dict[str, Recomputed]:
    """The answer to each claim by its id, from answers by part of the studies and quantity.

    Raises
    ------
    DataError
        where a claim asks by key for a number that was not computed; the message names the claim and its keys.
    """
    answers = {}
    for claim in (c for c in claims if c.quantity_key):
        answer = found.get(claim.subgroup_key, {}).get(claim.quantity_key)
        if answer is None:
            raise DataError(
                f'{claim.id}: no analysis computes quantity_key "{claim.quantity_key}" of subgroup_key '
                f'"{claim.subgroup_key}": mend the keys in claims.csv, or leave them empty'
            )
        answers[claim.id] = answer
    return answers


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
    by_key = {c.quantity_key: answers[c.id].value for c in claims if c.id in answers}
    swapped = INTERCHANGED | {there: here for here, there in INTERCHANGED.items()}
    rows = []
    for claim in (c for c in claims if c.quantity_key in swapped):
        printed, ours = claim.printed["value"], by_key[claim.quantity_key]
        # The output prints the label and behind it the number.
        label = claim.as_printed.removesuffix(printed).strip()
        rows.append((label, claim.quantity, printed, ours, by_key[swapped[claim.quantity_key]]))
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
