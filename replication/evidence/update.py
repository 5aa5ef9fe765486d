"""What the new samples move: the pool before, the new samples alone, both together, and which samples did it.

As published and as of today: which rows a published analysis did not have, and what each work's rows moved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from replication.analysis.outcome import About, Cell, Estimate, Label, Ref, Table, Text, of, refs
from replication.dataset.row_versions import version_numbers
from replication.effects.correlation import back_to_r
from replication.errors import ModelError
from replication.evidence.estimators import che
from replication.evidence.question import Evidence, sample_means
from replication.models.multilevel.multilevel import refit_each
from replication.models.multilevel.results import multilevel_data
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["entering", "update_table"]

MOST_STEPS = 40
"""Works that come in one by one, each with an estimate of its own: more lines than this nobody reads."""


def update_table(key: str, label: Text, steps: Sequence[tuple[Text, Estimate]]) -> Table:
    """Before, new, together: the same model on each body of evidence."""
    rows = tuple((name, e.value, e.low, e.high, e.tau2, e.k, e.samples, e.n) for name, e in steps)
    columns = ("evidence", "r", "low", "high", "tau2_z", "effects", "samples", "persons")
    links = refs("estimate", (e.id for _, e in steps))
    return Table(
        id=f"update-{key}",
        title=of(label, "what_the_update_moves"),
        columns=columns,
        rows=rows,
        kind="update",
        about=About(key, label),
        links=links,
    )


Rows = NDArray[np.bool_]
Came = tuple[str, str]
"""The version since which rows are there, and their work."""


def entering(found: Evidence, whole: Estimate) -> tuple[Table, ...]:
    """From the rows of a published analysis to all there are, work by work; empty where none used any of these rows.

    Parameters
    ----------
    found : all evidence on a question.
    whole : the main estimate on it; the steps use its model, and the last one ends there.
    """
    tables: list[Table] = []
    for names, published in _published(found):
        steps, rows = _steps(found, published), np.flatnonzero(~published).tolist()
        key = found.question.id if not tables else f"{found.question.id}-{names[0]}"
        works = [names[0], *(_one_work(step[0]) for step in steps[1:])]
        last = ("today", len(published), whole.value, whole.value - steps[0][2])
        tables += [
            Table(
                id=f"entering-{key}",
                title=of(found.question.label, "as_published_and_today"),
                columns=("rows_of", "rows", "r_then", "moved_by"),
                kind="entering",
                about=About(found.question.id, found.question.label),
                rows=(("as_published", *steps[0][1:3], None), *((work, *rest) for work, *rest in steps[1:]), last),
                links=(*refs("work", works), Ref("estimate", whole.id)),
                note=Label("entering_note", {"works": names}),
            ),
            Table(
                id=f"entering-rows-{key}",
                title=of(found.question.label, "rows_not_in_published"),
                columns=("row", "work", "r", "n", "since_version"),
                rows=tuple(_row(found, i) for i in rows),
                links=refs("row", (found.rows["effect_id"].iloc[i] for i in rows)),
            ),
        ]
    return tuple(tables)


def _published(found: Evidence) -> Iterator[tuple[tuple[str, ...], Rows]]:
    """Published analyses and the rows `(k,)` they used; those that used the same rows together, most rows first."""
    used = [set(filter(None, cell.split(";"))) for cell in found.rows["used_in"]]
    sets: dict[bytes, tuple[str, ...]] = {}
    for name in sorted(set().union(*used)):
        # The bytes of the mask are the key: analyses that used just the same rows are one step, not two.
        mask = np.array([name in names for names in used]).tobytes()
        sets[mask] = (*sets.get(mask, ()), name)
    masks = ((names, np.frombuffer(mask, dtype=bool)) for mask, names in sets.items())
    yield from sorted(masks, key=lambda pair: -int(pair[1].sum()))


def _steps(found: Evidence, published: Rows) -> list[tuple[Cell, int, float, float]]:
    """What came in, how many rows, r with them, and by how much r moved."""
    rows = found.rows
    came: list[Came] = list(zip(rows["since"], rows["work"], strict=True))
    later = Counter(pair for pair, old in zip(came, published, strict=True) if not old)
    turns = _turns(later, set(rows.loc[published, "work"]))
    # Each set holds the one before: a step's number is then what the work moved, given all that was there.
    present, sets = published.copy(), [published]
    for _, pairs in turns:
        present = present | np.array([pair in pairs for pair in came])
        sets.append(present)
    values = _estimates(found, sets)
    steps: list[tuple[Cell, int, float, float]] = [("", int(published.sum()), values[0], 0.0)]
    for (name, _), before, after, old, new in zip(turns, sets, sets[1:], values, values[1:], strict=False):
        steps.append((name, int(after.sum() - before.sum()), new, new - old))
    return steps


def _turns(came: Mapping[Came, int], known: Collection[str]) -> list[tuple[Cell, frozenset[Came]]]:
    """In what order works come in, from how many rows `came` with each: a work a turn, named by it.

    Where there are more than `MOST_STEPS` works those with most rows have a turn of their own, and the others of a
    version one together, after them.
    """
    # Within a version, works the analysis knew come first: what they add is an update, not a new source.
    order = sorted(came, key=lambda pair: (version_numbers(pair[0]), pair[1] not in known))
    largest = sorted(order, key=lambda pair: -came[pair])
    alone = set(order if len(order) <= MOST_STEPS else largest[:MOST_STEPS])
    turns: list[tuple[Cell, frozenset[Came]]] = []
    for since, group in groupby(order, key=lambda pair: pair[0]):
        pairs = list(group)
        turns += [(pair[1], frozenset([pair])) for pair in pairs if pair in alone]
        others = frozenset(pairs) - alone
        if others:
            turns.append((Label("other_works", {"n": len(others), "since": since}), others))
    return turns


def _one_work(name: Cell) -> str:
    """The work a step is named by; empty where it is several."""
    return name if isinstance(name, str) else ""


def _estimates(found: Evidence, sets: Sequence[Rows]) -> list[float]:
    """r on each set of rows, by the working model (CHE) where samples have several rows, else by REML."""
    # With one row a sample the two levels are one variance, which a three-level model could only guess apart.
    if len(set(found.samples)) == len(found.samples):
        parts = [sample_means(found.take(present)) for present in sets]
        return [float(back_to_r(fit_random_effects(means.y, means.v).beta[0])) for means in parts]
    values = []
    for fit in refit_each(multilevel_data(che(found)), [np.flatnonzero(present) for present in sets]):
        if isinstance(fit, ModelError):
            raise fit
        values.append(float(back_to_r(fit.beta[0])))
    return values


def _row(found: Evidence, i: int) -> tuple[Cell, ...]:
    effect, work, since = (str(found.rows[name].iat[i]) for name in ("effect_id", "work", "since"))
    return effect, work, float(back_to_r(found.y[i])), float(found.rows["n"].to_numpy(float)[i]), since
