"""What of the dataset an analysis is given, and the digest of just that.

An analysis says what it reads (`Reads`); it is given a dataset in which everything else is absent or empty, and its
results are kept under the digest of that dataset. So an edit of what it does not read cannot change its results, and
costs nothing but the report. Two kinds of views:

1. by work: the rows of some works in every table (reproductions);
2. by outcome: every row, but only samples that bear on an outcome keep their results, and only the claims that are
   named are there (findings, which count all rows and take design effects and sample sizes from all of them).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
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
    from numpy.typing import NDArray

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
    tables = {name: _without_remarks(data, name) for name in data.tables}
    bearing, results = _results_on(data, reads.outcomes)
    effects = tables["effects.csv"]
    tables["effects.csv"] = effects.assign(**{name: effects[name].where(bearing, np.nan) for name in RESULTS})
    tables["claims.csv"] = _named(data, reads.claims)
    withdrawn = {name: table for name, table in data.withdrawn.items() if name == "claims.csv"}
    claims = [_digest(Columns.of(table)) for table in (tables["claims.csv"], *withdrawn.values())]
    others = [_digest_of_rest(data, name) for name in data.tables if name != "claims.csv"]
    return _bare(data, reads, tables, withdrawn, [*others, results, *claims])


@lru_cache(maxsize=32)
def _without_remarks(data: Dataset, name: str) -> pd.DataFrame:
    """A table with its remarks emptied."""
    table = data.tables[name]
    return table.assign(**{column: 0 if column == "line" else "" for column in REMARKS if column in table})


@lru_cache(maxsize=32)
def _digest_of_rest(data: Dataset, name: str) -> str:
    """The digest of a table without its remarks; of the effects without results, too, which `_results_on` digests."""
    table = data.columns(name)
    left_out = {*REMARKS, *(RESULTS if name == "effects.csv" else ())}
    return _digest(table.only(*(column for column in table.cells if column not in left_out)))


def _results_on(data: Dataset, outcomes: Collection[str]) -> tuple[NDArray[np.bool_], str]:
    """Which effects `(k,)` belong to samples that bear on an outcome, and the digest of these and of their results."""
    effects = data.columns("effects.csv")
    rows = effects.rows("sample_id", "var_a", "var_b")
    samples = {sample for sample, a, b in rows if a in outcomes or b in outcomes}
    bearing = [sample in samples for sample in effects["sample_id"]]
    digest = digest_of(bytes(bearing), _digest(effects.only(*RESULTS).where(bearing)))
    return np.array(bearing, dtype=bool), digest


def _named(data: Dataset, claims: Collection[str]) -> pd.DataFrame:
    """The rows of the claims that stand for these ids today, and of the works with these keys."""
    table = data.tables["claims.csv"]
    known = Successors.of(data.columns("claims.csv", withdrawn=True), "claim_id")
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
        digest=digest_of(records, _digest_of_vocabulary(data), *parts),
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


@lru_cache(maxsize=4)
def _digest_of_vocabulary(data: Dataset) -> str:
    return digest_of(repr(data.vocabulary))


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
    return table, {work: (here, _digest(table.take(here))) for work, here in rows.items()}


def _digest(table: Columns) -> str:
    """The digest of the names and cells of all columns."""
    # By column, in one call of compiled code for each: a table of effects has 350,000 cells, most of them empty.
    return digest_of(*(part for name, cells in table.cells.items() for part in (name, repr(cells))))
