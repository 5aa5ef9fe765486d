"""MASEM fits as estimates, diagrams and audits for the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from replication.analysis.outcome import Estimate, Figure, Table
from replication.claims import Claim, Recomputed
from replication.models.fit import Interval
from replication.models.literals import SamplingRule
from replication.models.masem.correlations import CorrelationSet
from replication.models.masem.osmasem import OneStageFit
from replication.models.masem.stage1 import fit_stage1_random
from replication.models.masem.stage2 import PathFit

__all__ = ["audit_table", "boundary_table", "label_table", "path_results"]

WORDS = {"pos": "positive", "neg": "negative", "enga": "engagement", "achiev": "achievement"}
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
        (e.study, e.pair, e.r if e.r == e.r else None, e.code, "yes" if e.used else "no", e.reason) for e in entries
    )
    columns = ("sample", "pair", "r", "what", "used", "why")
    links = tuple(e.study for e in entries)
    return Table(id="masem-audit", title="Audit of the correlations", columns=columns, rows=rows, links=links)


def boundary_table(data: CorrelationSet, rule: SamplingRule, group: str) -> Table:
    """Standard errors that rest on a variance at its bound: as metaSEM takes them, and with that variance held."""
    as_printed = fit_stage1_random(data, sampling=rule)
    held = fit_stage1_random(data, sampling=rule, at_bound="held")
    rows = tuple(
        (name, float(as_printed.fit.beta[j]), float(as_printed.fit.se[j]), float(held.fit.se[j]))
        for j, name in enumerate(as_printed.fit.names)
        if not math.isclose(as_printed.fit.se[j], held.fit.se[j], rel_tol=1e-3)
    )
    columns = ("pair", "r", "standard error as printed", "standard error with the variance held")
    note = "; ".join(note.message for note in as_printed.fit.notes if not note.code.startswith("audit"))
    return Table(id="boundary", title=f"A variance on its bound: {group}", columns=columns, rows=rows, note=note)


def label_table(claims: Sequence[Claim], answers: Mapping[str, Recomputed]) -> Table:
    """The vignette's interchanged labels: each number under its printed label and under what it is.

    A printed label "b31 (enga<-neg)" belongs to the estimate of enga on pos, and the other way round; a number that
    agrees under the printed label as well would not show the swap, so both are printed.
    """
    by_quantity = {c.quantity: answers[c.id].value for c in claims if c.statistic == "beta"}
    rows = []
    for claim in claims:
        label = claim.note.partition("printed label: ")[2]
        if "interchanged" in claim.note and claim.quantity in by_quantity:
            word, swapped = ("positive", "negative") if "positive" in claim.quantity else ("negative", "positive")
            under_label = by_quantity[claim.quantity.replace(word, swapped)]
            rows.append((label, claim.quantity, claim.printed["value"], by_quantity[claim.quantity], under_label))
    columns = ("printed label", "what it is", "printed", "ours, by what it is", "ours, by the printed label")
    return Table(id="labels", title="Interchanged labels of the vignette", columns=columns, rows=tuple(rows))


def path_results(
    fitted: PathFit | OneStageFit, key: str, title: str, intervals: Mapping[str, Interval] | None = None
) -> tuple[tuple[Estimate, ...], Figure]:
    """Paths, residual variances and effects as estimates, and the path diagram."""
    ends = fitted.fit.interval()
    estimates = [
        Estimate(
            id=f"{key}-{name}",
            label=_label(name),
            metric="r" if name == "p21" else "beta",
            value=float(fitted.fit.beta[j]),
            low=float(ends[j, 0]),
            high=float(ends[j, 1]),
            se=float(fitted.fit.se[j]),
            p=float(fitted.fit.p[j]),
            k=fitted.fit.k,
            group=title,
            method=dict(fitted.fit.method),
            notes=tuple(note.message for note in fitted.fit.notes),
        )
        for j, name in enumerate(fitted.fit.names)
    ]
    estimates += [
        Estimate(
            id=f"{key}-{e.name}",
            label=e.name.replace("_", " "),
            metric="beta",
            value=e.estimate,
            low=e.interval.low,
            high=e.interval.high,
            se=e.se,
            group=title,
            method=dict(fitted.fit.method),
        )
        for e in (*fitted.effects, *fitted.residuals)
    ]
    drawn = [e for e in estimates if e.id.removeprefix(f"{key}-") in ARROWS]
    names = [e.id.removeprefix(f"{key}-") for e in drawn]
    columns: dict[str, list[str | float]] = {
        "from": [WORDS[ARROWS[name][0]] for name in names],
        "to": [WORDS[ARROWS[name][1]] for name in names],
        "value": [e.value for e in drawn],
        "low": [e.low for e in drawn],
        "high": [e.high for e in drawn],
        "kind": ["covariance" if name == "p21" else "path" for name in names],
        "estimate": [e.id for e in drawn],
    }
    return tuple(estimates), Figure(id=f"diagram-{key}", kind="path_diagram", title=title, columns=columns)


def _label(name: str) -> str:
    if name not in ARROWS:
        return name
    a, b = ARROWS[name]
    return f"{WORDS[a]} {'with' if name == 'p21' else 'to'} {WORDS[b]}"
