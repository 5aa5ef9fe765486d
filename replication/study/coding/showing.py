"""Agreement in words: on the terminal and as a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from replication.dataset.problems import shown
from replication.study.coding.agreement import FieldAgreement
from replication.study.coding.comparing import Comparison, Disagreement
from replication.study.page import page, table

__all__ = ["agreement_html", "agreement_lines"]

_HEAD = ("field", "cells", "agree", "95 % interval", "kappa", "weighted kappa", "ICC", "")


def agreement_lines(comparison: Comparison, fields: Sequence[FieldAgreement]) -> Iterator[str]:
    """Agreement a field a line, then rows only some have, then each disagreement."""
    for field in fields:
        parts = [f"{field.table} {field.column}: {field.agreed} of {field.n} cells agree ({_percent(field)})"]
        parts += [text for text in (_kappa(field), _weighted(field), _icc(field), field.note) if text]
        yield "; ".join(parts)
    for name, row, having in comparison.alone:
        yield f"{name} {row}: only {', '.join(having)} has this row"
    for entry in comparison.disagreements:
        yield _sentence(comparison.work, entry)
    total = sum(field.n for field in fields)
    agreed = sum(field.agreed for field in fields)
    share = f"{100 * agreed / total:.1f} %" if total else "nothing"
    yield f"In all {share} of {total} cells agree; {len(comparison.open)} disagreements are open."


def agreement_html(comparison: Comparison, fields: Sequence[FieldAgreement]) -> str:
    """The same as a page."""
    rows = [
        (f"{f.table} {f.column}", str(f.n), str(f.agreed), _interval(f), _kappa(f), _weighted(f), _icc(f), f.note)
        for f in fields
    ]
    parts = ["<h2>Agreement by field</h2>", table(_HEAD, rows)]
    if comparison.alone:
        alone = [(name, row, ", ".join(having)) for name, row, having in comparison.alone]
        parts += ["<h2>Rows not every coder has</h2>", table(("Table", "Row", "Who has it"), alone)]
    if comparison.disagreements:
        listed = [(f"{d.table} {d.row}", d.column, _values(d), _settled(d)) for d in comparison.disagreements]
        parts += ["<h2>Disagreements</h2>", table(("Row", "Column", "Coders", "Settled"), listed)]
    return page(f"Double coding of {comparison.work}", parts)


def _sentence(work: str, entry: Disagreement) -> str:
    head = f"{entry.table} {entry.row}, {entry.column}: {_values(entry)}"
    if entry.settled:
        return f"{head}; {_settled(entry)}"
    return f"{head}; open: python -m replication.study settle {work} {entry.row} {entry.column} VALUE --who … --why …"


def _values(entry: Disagreement) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in entry.values.items())


def _settled(entry: Disagreement) -> str:
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
