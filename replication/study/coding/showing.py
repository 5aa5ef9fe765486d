"""Agreement in words: on the terminal and as a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from replication.dataset.problems import shown
from replication.study.coding.agreement import FieldAgreement
from replication.study.coding.coders import DROP, KEEP, PRESENCE
from replication.study.coding.comparing import Alone, Comparison, Disagreement
from replication.study.coding.merging import Merged
from replication.study.coding.settling import settle_command
from replication.study.rendering import page, table

__all__ = ["agreement_html", "agreement_lines", "merged_line"]

_LISTED = 20
_HEAD = ("field", "cells", "agree", "95 % interval", "kappa", "weighted kappa", "ICC", "")


def agreement_lines(comparison: Comparison, fields: Sequence[FieldAgreement]) -> Iterator[str]:
    """Agreement a field a line, then rows only some have, then each disagreement."""
    for field in fields:
        parts = [f"{field.table} {field.column}: {field.agreed} of {field.n} cells agree ({_percent(field)})"]
        parts += [text for text in (_kappa(field), _weighted(field), _icc(field), field.note) if text]
        yield "; ".join(parts)
    for (name, coder), ids in comparison.renamed.items():
        listed = ", ".join(f"{old} is {new}" for old, new in list(ids.items())[:_LISTED])
        more = f" and {len(ids) - _LISTED} more" if len(ids) > _LISTED else ""
        yield f"{name}: rows of {coder} matched by what they say, not by their id: {listed}{more}"
    # Rows before cells: whether a row belongs is to be settled before what stands in it.
    for alone in comparison.alone:
        yield _presence(comparison.work, alone)
    for entry in comparison.disagreements:
        yield _sentence(comparison.work, entry)
    total = sum(field.n for field in fields)
    agreed = sum(field.agreed for field in fields)
    share = f"{100 * agreed / total:.1f} %" if total else "nothing"
    rows = f" and {len(comparison.undecided)} rows not every coder has" if comparison.undecided else ""
    yield f"In all {share} of {total} cells agree; {len(comparison.open)} disagreements{rows} are open."


def agreement_html(comparison: Comparison, fields: Sequence[FieldAgreement]) -> str:
    """The same as a page."""
    rows = [
        (f"{f.table} {f.column}", str(f.n), str(f.agreed), _interval(f), _kappa(f), _weighted(f), _icc(f), f.note)
        for f in fields
    ]
    parts = ["<h2>Agreement by field</h2>", table(_HEAD, rows)]
    if comparison.alone:
        alone = [(a.table, a.row, ", ".join(a.having), _settled(a)) for a in comparison.alone]
        parts += ["<h2>Rows not every coder has</h2>", table(("Table", "Row", "Who has it", "Settled"), alone)]
    if comparison.disagreements:
        listed = [(f"{d.table} {d.row}", d.column, _values(d), _settled(d)) for d in comparison.disagreements]
        parts += ["<h2>Disagreements</h2>", table(("Row", "Column", "Coders", "Settled"), listed)]
    return page(f"Double coding of {comparison.work}", parts)


def merged_line(work: str, merged: Merged) -> str:
    """What was written to a table, and what stands in it beside the coders' rows."""
    parts = [f"Wrote {work}/{merged.table}"]
    if merged.kept:
        parts.append(f"kept {_listed(merged.kept)}, which no coder has")
    if merged.comments:
        parts.append(f"kept {merged.comments} comment lines")
    if merged.dropped:
        parts.append(f"left out {_listed(merged.dropped)}, as settled")
    return "; ".join(parts) + "."


def _listed(rows: Sequence[str]) -> str:
    more = f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
    return ", ".join(rows[:_LISTED]) + more


def _sentence(work: str, entry: Disagreement) -> str:
    head = f"{entry.table} {entry.row}, {entry.column}: {_values(entry)}"
    if entry.settled:
        return f"{head}; {_settled(entry)}"
    return f"{head}; open: {settle_command(work, entry.table, entry.row, entry.column)}"


def _presence(work: str, entry: Alone) -> str:
    head = f"{entry.table} {entry.row}: only {', '.join(entry.having)} has this row"
    if entry.settled:
        return f"{head}; {_settled(entry)}"
    return (
        f"{head}; open: {settle_command(work, entry.table, entry.row, PRESENCE, KEEP)} (or {DROP} in place of {KEEP})"
    )


def _values(entry: Disagreement) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in entry.values.items())


def _settled(entry: Disagreement | Alone) -> str:
    decided = entry.settled
    return f"settled as {shown(decided.value)} by {decided.who}: {decided.why}" if decided else "open"


def _percent(field: FieldAgreement) -> str:
    return f"{100 * field.share:.0f} %, interval {_interval(field)}"


def _interval(field: FieldAgreement) -> str:
    return f"{100 * field.low:.0f} to {100 * field.high:.0f} %"


def _kappa(field: FieldAgreement) -> str:
    if math.isnan(field.kappa):
        return ""
    ends = f" [{field.kappa_low:.2f}, {field.kappa_high:.2f}]" if math.isfinite(field.kappa_low) else ""
    return f"kappa {field.kappa:.2f}{ends}"


def _weighted(field: FieldAgreement) -> str:
    return "" if math.isnan(field.weighted_kappa) else f"weighted kappa {field.weighted_kappa:.2f}"


def _icc(field: FieldAgreement) -> str:
    return "" if math.isnan(field.icc) else f"ICC {field.icc:.3f} [{field.icc_low:.3f}, {field.icc_high:.3f}]"
