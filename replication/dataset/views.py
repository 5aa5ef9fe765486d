"""What of the dataset an analysis is given, and the digest of just that.

An analysis says what it reads (`Reads`); it is given a dataset in which everything else is absent or empty, and its
results are kept under the digest of that dataset. So an edit of what it does not read cannot change its results, and
costs nothing but the report. Three kinds of views:

1. by work: the rows of some works in every table (reproductions);
2. by outcome: every row, but only samples that bear on an outcome keep their results, less those on outcomes that are
   not asked for, and only the claims that are named are there (findings, which count all rows and take design effects
   and sample sizes from all of them);
3. by table: every row of some tables (what goes through all works: reading list, directions, risk of bias).

What people wrote for readers is in none of them, unless it is asked for: remarks on results, and what the record of a
work tells of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Any

from replication.dataset.columns import Cells, Columns, Deferred, Frames
from replication.dataset.model import Dataset
from replication.dataset.records import Work
from replication.dataset.successors import Successors
from replication.digests import digest_of, digest_of_each, packed

__all__ = ["Reads", "view_of"]

REMARKS = ("line", "note", "source", "locator", "as_printed", "value_text")
"""Columns that no finding computes or says anything from."""
OF_RESULTS = ("effects.csv", "samples.csv", "measures.csv", "descriptives.csv")
"""Tables whose remarks hardly a reproduction reads either; those of claims it may quote."""
TOLD = {"design": "", "argues": "", "fit": "", "bullying": None}
"""What the record of a work tells readers alone, and how it is left out."""
RESULTS = ("value", "value_weighted", "se", "ci_low", "ci_high", "p", "contextual", "contextual_se", "icc_a", "icc_b")
"""Columns of `effects.csv` that hold results; what a row is about, and of how many students, are the others."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What an analysis reads of the dataset; everything where neither `works`, `outcomes` nor `tables` are named.

    The rows of `works`, or the results on `outcomes` (constructs) and covariates of samples with a row on one of them,
    with the `claims` it names by any of their ids, or all of a work by its key; or all rows of `tables`.
    With `remarks`, the rows of `works` come with what was noted beside them, those of `tables` with what is said of
    their works: what they are without, and their references.
    """

    works: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    remarks: bool = False

    @classmethod
    def of_plain(cls, record: Mapping[str, Any]) -> Reads:
        """What was written down of it as plain data, in which a tuple is a list."""
        works, outcomes, claims, tables = (tuple(record[name]) for name in ("works", "outcomes", "claims", "tables"))
        return cls(works, outcomes, claims, tables, remarks=bool(record["remarks"]))


@lru_cache(maxsize=1)  # the parts of an analysis ask for the same one, and what they make of it is kept with it
def view_of(data: Dataset, reads: Reads) -> Dataset:
    """The dataset with nothing in it but what is read; its digest is that of what it holds."""
    if reads.works:
        return _of_works(data, reads)
    if reads.tables:
        return _of_tables(data, reads)
    return _on_outcomes(data, reads) if reads.outcomes else data


def _of_works(data: Dataset, reads: Reads) -> Dataset:
    parts: list[str | bytes] = []

    def own(names: Iterable[str], life: str) -> Frames:
        found = {}
        for name in names:
            table, pieces = _pieces(data, life, name, remarks=reads.remarks)
            held = [pieces[work] for work in reads.works if work in pieces]
            # A table without works (the list of leads) belongs to none of them.
            found[name] = table.take(sorted(chain.from_iterable(rows for rows, _ in held)))
            parts.extend([life, name, *(digest for _, digest in held)])
        return Frames(found)

    return _bare(data, reads, own(data.tables, "live"), own(data.withdrawn, "withdrawn"), parts)


def _of_tables(data: Dataset, reads: Reads) -> Dataset:
    tables = {
        name: _without_remarks(data, name) if name in reads.tables else _no_rows(data, name) for name in data.tables
    }
    parts = [_digest_of_rest(data, name, ()) for name in data.tables if name in reads.tables]
    withdrawn = _withdrawn_claims(data)
    return _bare(data, reads, Frames(tables), withdrawn, [*parts, *map(_digest, withdrawn.columns.values())])


def _no_rows(data: Dataset, name: str) -> Columns:
    return data.columns(name).take(())


def _on_outcomes(data: Dataset, reads: Reads) -> Dataset:
    tables = {name: _without_remarks(data, name) for name in data.tables}
    bearing, results = _results_on(data, reads.outcomes)
    tables["effects.csv"] = _filled(tables["effects.csv"], dict.fromkeys(RESULTS, math.nan), kept=bearing)
    tables["claims.csv"] = _named(data, reads.claims)
    withdrawn = _withdrawn_claims(data)
    claims = map(_digest, (tables["claims.csv"], *withdrawn.columns.values()))
    others = [
        _digest_of_rest(data, name, RESULTS if name == "effects.csv" else ()) for name in tables if name != "claims.csv"
    ]
    return _bare(data, reads, Frames(tables), withdrawn, [*others, results, *claims])


def _withdrawn_claims(data: Dataset) -> Frames:
    """The claims that were withdrawn: an analysis may name a claim by the id it had."""
    return Frames({name: data.columns(name, withdrawn=True) for name in data.withdrawn if name == "claims.csv"})


@lru_cache(maxsize=64)
def _without_remarks(data: Dataset, name: str, *, withdrawn: bool = False) -> Columns:
    """A table with its remarks emptied."""
    return _filled(data.columns(name, withdrawn=withdrawn), {name: 0 if name == "line" else "" for name in REMARKS})


def _filled(table: Columns, filling: Mapping[str, object], kept: Sequence[bool] = ()) -> Columns:
    """A table with the same in every cell of some columns, but in the rows that are kept."""

    def cells(name: str) -> Cells:
        if name not in filling:
            return table[name]
        if not kept:
            return blanks.setdefault(repr(filling[name]), [filling[name]] * len(table))
        return [cell if keep else filling[name] for cell, keep in zip(table[name], kept, strict=True)]

    # Columns that say the same in all rows are one list.
    blanks: dict[str, Cells] = {}
    # Made when it is looked at: most views are asked for their digest alone.
    return Columns(Deferred(table.cells, cells), table.numbers)


@lru_cache(maxsize=32)
def _digest_of_rest(data: Dataset, name: str, further: tuple[str, ...]) -> str:
    """The digest of a table without its remarks, and without further columns, which somebody else digests."""
    table = data.columns(name)
    return _digest(table.only(*(column for column in table.cells if column not in {*REMARKS, *further})))


def _results_on(data: Dataset, outcomes: Collection[str]) -> tuple[list[bool], str]:
    """Which effects keep their results, and the digest of these and of the results.

    They are those of samples that bear on an outcome: with it, and with the covariates of its adjustment.
    """
    effects = data.columns("effects.csv")
    rows = list(effects.rows("sample_id", "var_a", "var_b"))
    samples = {sample for sample, a, b in rows if a in outcomes or b in outcomes}
    # What the same samples say of another outcome is another finding's: an edit of it costs this one nothing.
    sides = data.vocabulary.constructs.items()
    others = {name for name, construct in sides if construct.side == "outcome"}.difference(outcomes)
    bearing = [sample in samples and a not in others and b not in others for sample, a, b in rows]
    return bearing, digest_of(bytes(bearing), _digest(effects.only(*RESULTS).where(bearing)))


def _named(data: Dataset, claims: Collection[str]) -> Columns:
    """The rows of the claims that stand for these ids today, and of the works with these keys."""
    table = data.columns("claims.csv")
    known = Successors.of(data.columns("claims.csv", withdrawn=True), "claim_id")
    ids, works = set(table["claim_id"]), set(claims)
    living = {found for found in (known.living(claim, ids) for claim in claims) if found}
    return table.where(claim in living or work in works for claim, work in table.rows("claim_id", "work"))


def _bare(
    data: Dataset,
    reads: Reads,
    tables: Frames,
    withdrawn: Frames,
    parts: list[str | bytes],
) -> Dataset:
    """A dataset with these tables and the records that belong to them; `parts` digest the tables."""
    keep = reads.works or tuple(data.works)
    told = bool(reads.works) or reads.remarks
    works = {key: work for key, work in _works(data, missing=told).items() if key in keep}
    references = {key: ref for key, ref in data.references.items() if key in keep and told}
    conceptual = {key: records for key, records in data.conceptual.items() if key in reads.works}
    claims = {*tables.columns["claims.csv"]["claim_id"], *tables.columns["directions.csv"]["direction_id"]}
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
        tables=tables,
        withdrawn=withdrawn,
    )


@lru_cache(maxsize=8)
def _works(data: Dataset, *, missing: bool) -> Mapping[str, Work]:
    """The records of works without what they tell readers alone; what a work is without only where it is asked for."""
    left_out = TOLD if missing else {**TOLD, "missing": ""}
    return {key: work.model_copy(update=left_out) for key, work in data.works.items()}


@lru_cache(maxsize=4)
def _digest_of_vocabulary(data: Dataset) -> str:
    return digest_of(repr(data.vocabulary))


@lru_cache(maxsize=64)  # a hundred works ask for their rows of each of a dozen tables
def _pieces(
    data: Dataset, life: str, name: str, *, remarks: bool
) -> tuple[Columns, Mapping[str, tuple[list[int], str]]]:
    """A table (`life` is live or withdrawn), and the rows of each work in it, by position, with their digest."""
    gone, plain = life == "withdrawn", name in OF_RESULTS and not remarks
    table = _without_remarks(data, name, withdrawn=gone) if plain else data.columns(name, withdrawn=gone)
    if "work" not in table:
        return table, {}
    rows: dict[str, list[int]] = {}
    for at, work in enumerate(table["work"]):
        rows.setdefault(work, []).append(at)
    names, columns = repr(list(table.cells)), list(table.cells.values())

    def piece(work: str) -> tuple[list[int], str]:
        # Row by row, as a work has few rows of tables of many columns; of works that nobody asks for, none.
        here = rows[work]
        cells = list(zip(*([column[at] for at in here] for column in columns), strict=True))
        return here, digest_of(names, packed(cells))

    return table, Deferred(rows, piece)


def _digest(table: Columns) -> str:
    """The digest of the names and cells of all columns."""
    # By column, in one call of compiled code for each: a table of effects has 350,000 cells, most of them empty.
    return digest_of_each(part for name, cells in table.cells.items() for part in (name, packed(cells)))
