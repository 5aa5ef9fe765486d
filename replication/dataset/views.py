"""What of the dataset an analysis is given, and the digest of just that.

An analysis says what it reads (`Reads`); it is given a dataset in which everything else is absent or empty, and its
results are kept under the digest of that dataset. So an edit of what it does not read cannot change its results, and
costs nothing but the report. Two kinds of views:

1. by work: the rows of some works in every table (reproductions);
2. by outcome: every row, but only samples that bear on an outcome keep their results, and only the claims that are
   named are there (findings, which count all rows and take design effects and sample sizes from all of them).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from replication.dataset.columns import Columns, Frames
from replication.dataset.model import Dataset
from replication.dataset.successors import Successors
from replication.digests import digest_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Reads", "view_of"]

REMARKS = ("line", "note", "source", "locator", "as_printed", "value_text")
"""Columns that no finding computes or says anything from."""
RESULTS = ("value", "value_weighted", "se", "ci_low", "ci_high", "p", "contextual", "contextual_se", "icc_a", "icc_b")
"""Columns of `effects.csv` that hold results; what a row is about, and of how many students, are the others."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What an analysis reads of the dataset; everything where neither `works` nor `outcomes` are named.

    The rows of `works`, or the results of samples with a row on one of `outcomes` (constructs) with the `claims` it
    names by any of their ids, or all of a work by its key.
    """

    works: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()


def view_of(data: Dataset, reads: Reads) -> Dataset:
    """The dataset with nothing in it but what is read; its digest is that of what it holds."""
    if reads.works:
        return _of_works(data, reads)
    return _on_outcomes(data, reads) if reads.outcomes else data


def _of_works(data: Dataset, reads: Reads) -> Dataset:
    parts: list[str | bytes] = []

    def own(names: Iterable[str], life: str) -> Frames:
        found = {}
        for name in names:
            table, pieces = _pieces(data, life, name)
            held = [pieces[work] for work in reads.works if work in pieces]
            # A table without works (the list of leads) belongs to none of them.
            found[name] = table.take(sorted(chain.from_iterable(rows for rows, _ in held)))
            parts.extend([life, name, *(digest for _, digest in held)])
        return Frames(found)

    return _bare(data, reads, own(data.tables, "live"), own(data.withdrawn, "withdrawn"), parts)


def _on_outcomes(data: Dataset, reads: Reads) -> Dataset:
    plain = {name: _without_remarks(data, name) for name in data.tables}
    tables = {name: table for name, (table, _) in plain.items()}
    tables["effects.csv"], effects = _results_on(data, reads.outcomes)
    tables["claims.csv"] = _named(data, reads.claims)
    withdrawn = {name: table for name, table in data.withdrawn.items() if name == "claims.csv"}
    claims = (tables["claims.csv"], *withdrawn.values())
    named = [digest for table in claims for digest in _row_digests(Columns.of(table))]
    others = [digest for name, (_, digest) in plain.items() if name not in ("effects.csv", "claims.csv")]
    return _bare(data, reads, tables, withdrawn, [*others, effects, b"".join(named)])


@lru_cache(maxsize=32)
def _without_remarks(data: Dataset, name: str) -> tuple[pd.DataFrame, bytes]:
    """A table with its remarks emptied, and the digests of its rows one after the other."""
    table = data.tables[name]
    emptied = table.assign(**{column: 0 if column == "line" else "" for column in REMARKS if column in table})
    return emptied, b"".join(_row_digests(Columns.of(emptied)))


def _results_on(data: Dataset, outcomes: Sequence[str]) -> tuple[pd.DataFrame, bytes]:
    """The effects without remarks and, but for samples that bear on an outcome, without results."""
    effects, whole = _without_remarks(data, "effects.csv")
    bearing = effects["var_a"].isin(list(outcomes)) | effects["var_b"].isin(list(outcomes))
    other = ~effects["sample_id"].isin(effects.loc[bearing, "sample_id"])
    blank, digests = _without_results(data)
    shown = effects.assign(**{column: effects[column].where(~other, blank[column]) for column in RESULTS})
    size = len(whole) // max(1, len(effects))
    each = [(digests if out else whole)[i * size : (i + 1) * size] for i, out in enumerate(other)]
    return shown, b"".join(each)


@lru_cache(maxsize=4)
def _without_results(data: Dataset) -> tuple[pd.DataFrame, bytes]:
    effects, _ = _without_remarks(data, "effects.csv")
    blank = effects.assign(**dict.fromkeys(RESULTS, np.nan))
    return blank, b"".join(_row_digests(Columns.of(blank)))


def _named(data: Dataset, claims: Collection[str]) -> pd.DataFrame:
    """The rows of the claims that stand for these ids today, and of the works with these keys."""
    table = data.tables["claims.csv"]
    known = Successors.of(data.withdrawn["claims.csv"], "claim_id") if "claims.csv" in data.withdrawn else Successors()
    ids = set(table["claim_id"])
    living = [found for found in (known.living(claim, ids) for claim in claims) if found]
    return table[table["claim_id"].isin(living) | table["work"].isin(list(claims))].reset_index(drop=True)


def _bare(
    data: Dataset,
    reads: Reads,
    tables: Mapping[str, pd.DataFrame],
    withdrawn: Mapping[str, pd.DataFrame],
    parts: list[str | bytes],
) -> Dataset:
    """A dataset with these tables and the records that belong to them; `parts` digest the tables."""
    keep = reads.works or tuple(data.works)
    works = {key: work for key, work in data.works.items() if key in keep}
    references = {key: reference for key, reference in data.references.items() if key in keep and reads.works}
    conceptual = {key: records for key, records in data.conceptual.items() if key in keep}
    claims = {*_cells(tables, "claims.csv", "claim_id"), *_cells(tables, "directions.csv", "direction_id")}
    explanations = tuple(e for e in data.explanations if claims.intersection(e.claims))
    traps = tuple(trap for trap in data.traps if set(keep).intersection(trap.works))
    records = repr((data.version, reads, works, references, conceptual, explanations, traps, data.article))
    return replace(
        data,
        digest=digest_of(records, repr(data.vocabulary), *parts),
        works=MappingProxyType(works),
        references=MappingProxyType(references),
        conceptual=MappingProxyType(conceptual),
        explanations=explanations,
        traps=traps,
        statements=(),
        corrections=(),
        warnings=(),
        notes=MappingProxyType({}),
        recipes=MappingProxyType({}),
        answers=MappingProxyType({}),
        packets=MappingProxyType({}),
        tables=tables if isinstance(tables, Frames) else MappingProxyType(dict(tables)),
        withdrawn=withdrawn if isinstance(withdrawn, Frames) else MappingProxyType(dict(withdrawn)),
    )


def _cells(tables: Mapping[str, pd.DataFrame], name: str, column: str) -> Iterable[str]:
    # Most views are asked for their digest alone: no frame is made for that.
    return tables.columns[name][column] if isinstance(tables, Frames) else tables[name][column]


@lru_cache(maxsize=64)  # a hundred works ask for their rows of each of a dozen tables
def _pieces(data: Dataset, life: str, name: str) -> tuple[Columns, Mapping[str, tuple[list[int], str]]]:
    """A table (`life` is live or withdrawn), and the rows of each work in it, by position, with their digest."""
    table = data.columns(name, withdrawn=life == "withdrawn")
    if "work" not in table:
        return table, {}
    rows: dict[str, list[int]] = {}
    for at, work in enumerate(table["work"]):
        rows.setdefault(work, []).append(at)
    digests = _row_digests(table)
    return table, {work: (here, digest_of(*(digests[at] for at in here))) for work, here in rows.items()}


def _row_digests(table: Columns) -> list[bytes]:
    """A digest for every row over the names and cells of all its columns."""
    head = "\x1e".join(table.cells)
    cells = [map(repr, column) for column in table.cells.values()]
    return [blake2b("\x1f".join((head, *row)).encode(), digest_size=32).digest() for row in zip(*cells, strict=True)]
