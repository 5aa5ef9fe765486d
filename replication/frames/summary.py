"""A fitted model as text for a terminal, as HTML for a notebook, and as a LaTeX table for a paper.

All three show the same parts: what was fitted, variances, heterogeneity, coefficients, prediction, choices, notes.
"""

from __future__ import annotations

import html
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from replication.frames.design import INTERCEPT
from replication.frames.fitted import FittedModel, Transform
from replication.models.multilevel.robust import wald_test
from replication.models.prediction import prediction_interval

__all__ = ["Summary", "format_number", "format_p", "latex", "summarise", "table_text"]

# How many rows that were left out are named before the rest is only counted.
MOST_DROPPED = 10

_Rows = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, repr=False)
class Block:
    """One part of a summary: a heading, a table with `columns` (or lines alone), and lines below it."""

    heading: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Summary:
    """A summary by parts; `str()` gives text, notebooks show HTML."""

    title: str
    blocks: tuple[Block, ...]

    def __str__(self) -> str:
        """The text table."""
        parts = [self.title, *(_text(block) for block in self.blocks)]
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<div><p><strong>{html.escape(self.title)}</strong></p>{''.join(map(_html, self.blocks))}</div>"


def summarise(model: FittedModel, transform: Transform | None = None) -> Summary:
    """The summary of a model; `transform` adds the estimates and intervals on another scale."""
    blocks = [*_spread(model), _coefficients(model), _transformed(model, transform)]
    blocks += [_prediction(model, transform), _choices(model), _dropped(model), _notes(model)]
    return Summary(_title(model), tuple(block for block in blocks if block is not None))


def latex(model: FittedModel, transform: Transform | None = None) -> str:
    """Coefficients and heterogeneity as a `tabular` with booktabs rules.

    Coefficients stay on the scale of the model where not each of them has a meaning on the other.
    """
    coefficients, transformed = _coefficients(model), _transformed(model, transform)
    if transformed is not None and len(transformed.rows) == len(coefficients.rows):
        coefficients = transformed
    head = " & ".join(_tex(name) for name in coefficients.columns)
    body = [" & ".join(_tex(cell) for cell in row) + r" \\" for row in coefficients.rows]
    lines = [line for block in _spread(model) if block for line in _flat(block)]
    width = len(coefficients.columns)
    foot = [rf"\multicolumn{{{width}}}{{l}}{{{_tex(line)}}} \\" for line in (f"k = {model.fit.k}", *lines)]
    spec = "l" + "r" * (width - 1)
    rules = (rf"\begin{{tabular}}{{{spec}}}", r"\toprule", head + r" \\", r"\midrule")
    return "\n".join([*rules, *body, r"\midrule", *foot, r"\bottomrule", r"\end{tabular}"])


def format_number(value: float, digits: int = 4) -> str:
    """A number with `digits` decimals, more for small ones; a dash where there is none.

    >>> format_number(0.123456), format_number(0.0000123456), format_number(float("nan"))
    ('0.1235', '1.235e-05', '-')
    """
    if np.isnan(value):
        return "-"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    # Four decimals of .00001 would read as nothing, which is another number.
    small = value != 0 and abs(value) < 10.0 ** (1 - digits)
    return f"{value:.{digits - 1}e}" if small or abs(value) >= 1e7 else f"{value:.{digits}f}"


def table_text(table: pd.DataFrame) -> str:
    """A table of estimates as text: four decimals, and no p that reads as 0.

    >>> print(table_text(pd.DataFrame({"term": ["a"], "estimate": [0.123456], "p": [1e-9]})))
    term  estimate       p
       a    0.1235 <0.0001
    """
    return str(table.round(4).to_string(index=False, formatters={"p": _p_cell} if "p" in table else {}))


def format_p(p: float) -> str:
    """A p value with its sign of equality: `= .0123`, `< .0001`.

    >>> format_p(0.0123), format_p(1e-9)
    ('= 0.0123', '< 0.0001')
    """
    if np.isnan(p):
        return "not defined"
    return "< 0.0001" if p < 1e-4 else f"= {p:.4f}"


def _p_cell(p: float) -> str:
    return "<0.0001" if p < 1e-4 else f"{p:.4f}"


def _title(model: FittedModel) -> str:
    fit = model.fit
    kind = _kind(model)
    clusters = f"; {fit.clusters} clusters" if fit.clusters is not None else ""
    return f"{kind}: {model.formula}  (k = {fit.k}{clusters})"


def _kind(model: FittedModel) -> str:
    method = model.fit.method
    if "model" in method:
        name = {"multilevel": "Multilevel model", "multivariate": "Multivariate model"}.get(method["model"])
        return name or method["model"][:1].upper() + method["model"][1:] + " model"
    if method.get("tau2") == "EE":
        return "Common-effect model"
    return "Mixed-effects meta-regression" if model.has_moderators else "Random-effects model"


def _spread(model: FittedModel) -> tuple[Block | None, ...]:
    return _variances(model), _correlations(model), _heterogeneity(model)


def _variances(model: FittedModel) -> Block | None:
    if model.fit.method.get("tau2") == "EE" or not model.fit.components:
        return None
    # Several variances have no interval that is quick to compute; the table asks for none of them.
    table = model.components(intervals=len(model.fit.components) == 1 and "model" not in model.fit.method)
    rows = tuple(
        (
            row["component"],
            format_number(row["variance"]),
            format_number(row["sd"]),
            format_number(row["se"]),
            _interval(row),
        )
        for row in table[[part.kind == "variance" for part in model.fit.components]].to_dict("records")
    )
    return Block("Variance between true effects", ("", "variance", "sd", "se", _level(model)), rows)


def _correlations(model: FittedModel) -> Block | None:
    parts = [part for part in model.fit.components if part.kind == "correlation"]
    rows = tuple((part.name, format_number(part.estimate), format_number(part.se)) for part in parts)
    return Block("Correlation of true effects", ("", "correlation", "se"), rows) if rows else None


def _heterogeneity(model: FittedModel) -> Block | None:
    q = model.fit.heterogeneity
    # With as many coefficients as effects Q is 0 by construction, and says nothing.
    if q is None or q.df == 0:
        return None
    label = "QE" if model.has_moderators else "Q"
    lines = [f"{label}({q.df}) = {format_number(q.Q)}, p {format_p(q.p)}"]
    if not np.isnan(q.I2) and model.fit.method.get("tau2") != "EE":
        lines.append(f"I2 = {q.I2:.2f} %, H2 = {q.H2:.2f}" + ("" if np.isnan(q.R2) else f", R2 = {q.R2:.2f} %"))
    names = [name for name in model.fit.names if name != INTERCEPT]
    if model.has_moderators and names:
        test = wald_test(model.fit, names)
        df = f"{test.df_num}" if test.kind == "chi2" else f"{test.df_num}, {test.df_den:.4g}"
        lines.append(
            f"Test of moderators ({', '.join(names)}): {'QM' if test.kind == 'chi2' else 'F'}({df}) = "
            f"{format_number(test.statistic)}, p {format_p(test.p)}"
        )
    return Block("Heterogeneity", lines=tuple(lines))


def _coefficients(model: FittedModel) -> Block:
    table = model.tidy()
    # Infinite degrees of freedom are the normal: a column of them would only say so.
    t = bool(np.isfinite(table.df).any())
    rows = []
    for row in table.to_dict("records"):
        df = (format_number(row["df"], 2),) if t else ()
        p = "-" if np.isnan(row["p"]) else _p_cell(row["p"])
        numbers = (format_number(row["estimate"]), format_number(row["se"]), format_number(row["statistic"], 3))
        rows.append((row["term"], *numbers, *df, p, _interval(row)))
    columns = ("", "estimate", "se", "t" if t else "z", *(("df",) if t else ()), "p", _level(model))
    return Block("Coefficients", columns, tuple(rows))


def _transformed(model: FittedModel, transform: Transform | None) -> Block | None:
    if transform is None:
        return None
    table = model.tidy()
    table = table[[_is_level(model, i, transform) for i in range(len(table))]]
    if table.empty:
        return None
    rows = tuple(
        (
            row["term"],
            format_number(float(transform(row["estimate"]))),
            f"[{format_number(float(transform(row['ci_low'])))}, {format_number(float(transform(row['ci_high'])))}]",
        )
        for row in table.to_dict("records")
    )
    name = getattr(transform, "__name__", "transform")
    return Block(f"Coefficients, after {name}", ("", "estimate", _level(model)), rows)


def _is_level(model: FittedModel, i: int, transform: Transform) -> bool:
    """Whether coefficient `i` can be transformed: means of effects can, of differences only those of logs (ratios)."""
    if transform in (np.exp, math.exp) or model.fit.names[i] == INTERCEPT:
        return True
    column = model.design.x[list(model.rows), i]
    return not model.design.has_intercept and bool(np.isin(column, (0.0, 1.0)).all())


def _prediction(model: FittedModel, transform: Transform | None) -> Block | None:
    if model.has_moderators or model.fit.method.get("tau2") == "EE":
        return None
    interval = prediction_interval(model.fit)
    if np.isnan(interval.low):
        return Block("Prediction", lines=(f"none: {interval.reason}",))
    lines = [f"The true effect of a new study: [{format_number(interval.low)}, {format_number(interval.high)}]"]
    if transform is not None:
        ends = (format_number(float(transform(end))) for end in (interval.low, interval.high))
        lines.append(f"after {getattr(transform, '__name__', 'transform')}: [{', '.join(ends)}]")
    return Block("Prediction", lines=tuple(lines))


def _choices(model: FittedModel) -> Block:
    said = ", ".join(f"{name} {value}" for name, value in model.fit.method.items())
    intercept = "with an intercept" if model.design.has_intercept else "without an intercept, as the formula says"
    return Block("Choices", lines=(f"{said}; {intercept}; {100 * model.fit.level:g} % intervals",))


def _dropped(model: FittedModel) -> Block | None:
    dropped = model.design.dropped
    if not dropped:
        return None
    named = [f"{d.label} (row {d.row}): no {', '.join(d.missing)}" for d in dropped[:MOST_DROPPED]]
    rest = len(dropped) - len(named)
    return Block(f"Left out: {len(dropped)} rows", lines=(*named, *((f"and {rest} more",) if rest else ())))


def _notes(model: FittedModel) -> Block | None:
    # Rows that were left out have a part of their own above, with their labels.
    shown = [note for note in model.fit.notes if note.code != "excluded-rows"]
    return Block("Notes", lines=tuple(f"{note.code}: {note.message}" for note in shown)) if shown else None


def _level(model: FittedModel) -> str:
    return f"{100 * model.fit.level:g} % interval"


def _interval(row: Mapping[Hashable, Any]) -> str:
    low, high = row["ci_low"], row["ci_high"]
    return "" if np.isnan(low) and np.isnan(high) else f"[{format_number(low)}, {format_number(high)}]"


def _text(block: Block) -> str:
    """A block in columns: the first to the left, numbers to the right."""
    parts = [block.heading]
    if block.columns:
        table = [block.columns, *block.rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(block.columns))]
        for row in table:
            cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
            parts.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join([*parts, *(f"  {line}" for line in block.lines)])


def _html(block: Block) -> str:
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in block.lines)
    if not block.columns:
        return f"<p><em>{html.escape(block.heading)}</em></p>{lines}"
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in block.columns)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in block.rows)
    caption = html.escape(block.heading)
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{lines}"


def _flat(block: Block) -> list[str]:
    """The rows of a block as sentences: `tau2: variance 0.01, sd 0.1`."""
    named = [
        f"{row[0]}: " + ", ".join(f"{c} {cell}" for c, cell in zip(block.columns[1:], row[1:], strict=True) if cell)
        for row in block.rows
    ]
    return [*named, *block.lines]


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", "<": r"$<$", ">": r"$>$"}
    special |= {c: "\\" + c for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in text)
