"""What happened to each correlation that is not simply used: a row, what happened to it, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from replication.labels import Cell, Label, Text
from replication.models.fit import Array, Note

__all__ = ["Audit", "AuditEntry", "StudyCells", "audit_neighbours", "audit_study", "complete_block", "pair_indices"]

# Smallest eigenvalue of a correlation matrix below which it counts as not positive definite.
DEFINITE = 1e-12


@cache  # asked for three times a study
def pair_indices(count: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Positions `(p,)` of the first and of the second variable of each pair of `count` variables."""
    first, second = np.triu_indices(count, 1)
    first.flags.writeable = second.flags.writeable = False
    return first, second


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One finding. `pair` is "" when it is about a whole study; `row` the input row (-1: none, the cell is empty).

    `code` is one fixed word: variable-absent, missing, missing-value, exact-zero, equal-neighbour,
    not-positive-definite, sample-size, moderator-missing.
    """

    study: str
    pair: str
    code: str
    used: bool
    reason: str
    r: float = float("nan")
    row: int = -1
    label: Label | None = None

    @property
    def text(self) -> Text:
        """What a report shows: the label, or the English reason of an entry that has none."""
        return self.label or self.reason


@dataclass(frozen=True, slots=True)
class Audit:
    """Every finding about a set of correlations, in the order of the studies."""

    entries: tuple[AuditEntry, ...] = ()

    def __iter__(self) -> Iterator[AuditEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def of(self, code: str) -> tuple[AuditEntry, ...]:
        """The findings of one kind."""
        return tuple(entry for entry in self.entries if entry.code == code)

    @property
    def unused(self) -> tuple[AuditEntry, ...]:
        """Correlations that were given and are not used."""
        return tuple(entry for entry in self.entries if not entry.used and np.isfinite(entry.r))

    @property
    def notes(self) -> tuple[Note, ...]:
        """The audit in one note a kind, for a fit: how many, which rows, and the first reason in full."""
        notes = []
        for code in dict.fromkeys(entry.code for entry in self.entries):
            found = self.of(code)
            rows = tuple(sorted(entry.row for entry in found if entry.row >= 0))
            noun = "entry" if len(found) == 1 else "entries"
            message = f"{len(found)} {noun} of the audit, first: {_sentence(found[0])}"
            # An entry about a whole study has no pair.
            pair = found[0].pair or "all"
            told: dict[str, Cell] = {"k": len(found), "study": found[0].study, "pair": pair, "reason": found[0].text}
            notes.append(Note(f"audit-{code}", message, rows, Label("note_audit", told)))
        return tuple(notes)


def _sentence(entry: AuditEntry) -> str:
    return f"study {entry.study}{', ' + entry.pair if entry.pair else ''}: {entry.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class StudyCells:
    """The cells of one study: which variables are `present (v,)`; `given`, `used` and input `row` of each pair."""

    study: str
    variables: tuple[str, ...]
    present: NDArray[np.bool_]
    given: Array
    used: NDArray[np.bool_]
    rows: NDArray[np.int_]


def audit_study(cells: StudyCells) -> list[AuditEntry]:
    """Findings about one study: unused, empty between measured variables, exactly zero, not positive definite."""
    study, variables, given, used = cells.study, cells.variables, cells.given, cells.used
    entries = []
    measured = _measured(len(variables), used)
    for p, (a, b) in enumerate(combinations(range(len(variables)), 2)):
        pair, r, row = f"{variables[a]}~~{variables[b]}", float(given[p]), int(cells.rows[p])
        if np.isfinite(r) and not used[p]:
            absent = tuple(variables[i] for i in (a, b) if not cells.present[i])
            reason = f"r = {r:g} is not used: {' and '.join(absent)} declared absent (no entry on the diagonal)"
            told = Label("audit_variable_absent", {"r": r, "absent": absent})
            entries.append(AuditEntry(study, pair, "variable-absent", False, reason, r, row, told))
        elif np.isnan(r) and measured[a] and measured[b]:
            reason = "no correlation is given although both variables have others; the pair is treated as missing"
            entries.append(AuditEntry(study, pair, "missing", False, reason))
        # Tables entered by hand often hold 0 where nothing was printed; a true r of exactly 0 is rare.
        if r == 0.0:
            reason = "r is exactly 0 and may be a placeholder; it is " + ("used" if used[p] else "not used")
            told = Label("audit_zero_used" if used[p] else "audit_zero_unused")
            entries.append(AuditEntry(study, pair, "exact-zero", bool(used[p]), reason, r, row, told))
    return entries + _definite(study, variables, given, used)


def _measured(count: int, used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    first, second = pair_indices(count)
    measured = np.zeros(count, dtype=bool)
    measured[first[used]] = True
    measured[second[used]] = True
    return measured


def complete_block(names: Sequence[str], used: NDArray[np.bool_]) -> NDArray[np.int_]:
    """A largest set of variables all of whose pairs are used, found by leaving out the one with most pairs missing.

    Ties leave out the name that comes last in the alphabet, so that the order of the variables decides nothing.
    """
    first, second = pair_indices(len(names))
    linked = np.zeros((len(names), len(names)), dtype=bool)
    linked[first, second] = linked[second, first] = used
    kept = [i for i in range(len(names)) if linked[i].any()]
    while True:
        # Greedy: the largest complete block is a clique problem, and studies hold too few variables for it to matter.
        lacking = {i: sum(not linked[i, j] for j in kept if j != i) for i in kept}
        if not any(lacking.values()):
            return np.array(kept, dtype=int)
        kept.remove(max(kept, key=lambda i: (lacking[i], names[i])))


def _definite(study: str, variables: Sequence[str], given: Array, used: NDArray[np.bool_]) -> list[AuditEntry]:
    block = complete_block(variables, used)
    # Two variables are always positive definite, as |r| < 1 was checked on reading.
    if len(block) < 3:
        return []
    first, second = pair_indices(len(variables))
    matrix = np.eye(len(variables))
    matrix[first, second] = matrix[second, first] = np.where(used, given, 0.0)
    smallest = float(np.linalg.eigvalsh(matrix[np.ix_(block, block)])[0])
    if smallest > DEFINITE:
        return []
    names = ", ".join(variables[i] for i in block)
    reason = (
        f"the correlations of {names} are not positive definite (smallest eigenvalue {smallest:.3g}): random effects "
        "use them one by one, fixed effects cannot use the study"
    )
    return [AuditEntry(study, "", "not-positive-definite", True, reason)]


def audit_neighbours(before: StudyCells, here: StudyCells) -> list[AuditEntry]:
    """Correlations equal to that of the study just before: perhaps parts of one article, or a row entered twice."""
    entries = []
    shared = np.isfinite(before.given) & np.isfinite(here.given)
    # Exact equality on purpose: two samples rarely agree in all printed digits, copies always do.
    same = shared & (before.given == here.given)
    whole = np.array_equal(same, shared)
    extent = "all their shared pairs" if whole else "this pair, not all they share"
    for p, (a, b) in enumerate(combinations(here.variables, 2)):
        if same[p]:
            r = float(here.given[p])
            reason = f"r = {r:g} equals that of study {before.study} just before, in {extent}"
            told = Label("audit_equal_in_all" if whole else "audit_equal_in_pair", {"r": r, "study": before.study})
            place = (here.study, f"{a}~~{b}", "equal-neighbour", bool(here.used[p]))
            entries.append(AuditEntry(*place, reason, r, int(here.rows[p]), told))
    return entries
